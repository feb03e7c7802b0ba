"""What denoisers are conditioned on, computed once however many ask: requests, steps, branches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from cache.keys import Digest
from cache.lru import ByteLRU
from cache.prefix_records import Namespace

# What a key and its bookkeeping take beside the value.
ENTRY_BYTES = 512


class Sized(Protocol):
    """What a conditioning store holds."""

    @property
    def size_bytes(self) -> int: ...


V = TypeVar("V", bound=Sized)


@dataclass(frozen=True)
class ConditioningStatistics:
    """What a store has done so far, and what it holds now; sizes in bytes.

    computed, reused: leases that had to compute their value, and those that had not. failures:
    computations that raised. refusals: values too large to stay beside what is in use.
    """

    computed: int = 0
    reused: int = 0
    failures: int = 0
    evictions: int = 0
    refusals: int = 0
    entries: int = 0
    size_bytes: int = 0
    pinned_bytes: int = 0
    max_bytes: int = 0

    @property
    def reuse(self) -> float:
        """Values reused, of all asked for, 0 to 1."""
        asked = self.computed + self.reused
        return self.reused / asked if asked else 0.0


@dataclass(frozen=True)
class Leased(Generic[V]):
    """A value for as long as it is in use; reused: whether it was there before, or on its way."""

    value: V
    reused: bool


class _Key(NamedTuple):
    """Under what a value is held, and for whom."""

    content: Digest
    namespace: Namespace


@dataclass(eq=False)
class _Use(Generic[V]):
    """A value that is being computed, or in use, by so many."""

    users: int = 1
    owner: int = field(default_factory=threading.get_ident)
    done: threading.Event = field(default_factory=threading.Event)
    value: V | None = None  # None until it is computed, and for good if that failed
    pin: ExitStack = field(default_factory=ExitStack)


class ConditioningStore(Generic[V]):
    """Values by content key, within a budget in bytes; what is in use stays, and is shared.

    A key holds everything that changes its value: model, adapters, dtype, text or identity. Several
    who ask for a key at once wait for one computation; if it raises, its own caller gets the error,
    and the next one waiting computes anew. A value that finds no room is shared while in use.
    Namespaces share the budget and nothing else.
    """

    def __init__(self, max_bytes: int) -> None:
        self._held: ByteLRU[_Key, V] = ByteLRU(max_bytes)
        self._uses: dict[_Key, _Use[V]] = {}
        self._computed = self._reused = self._failures = 0
        self._lock = threading.Lock()

    @contextmanager
    def lease(
        self, content: Digest, compute: Callable[[], V], namespace: Namespace = ()
    ) -> Iterator[Leased[V]]:
        """The value of a key, computed if nobody has it, kept until the block is left.

        namespace: whose it is; () for everyone's. The block may be left by another thread than
        entered it. Raises what `compute` raises, and RuntimeError if `compute` asks for its own
        key.
        """
        key = _Key(content, namespace)
        use, reused = self._enter(key, compute)
        try:
            yield Leased(cast("V", use.value), reused)
        finally:
            self._leave(key, use)

    def clear(self, namespace: Namespace | None = None) -> int:
        """Forgets what is not in use, of one namespace or of all; how many. The counts stay."""
        return self._held.clear(lambda key: namespace in (None, key.namespace))

    def keys(self, namespace: Namespace = ()) -> tuple[Digest, ...]:
        """The keys held of a namespace, least recently used first."""
        return tuple(key.content for key in self._held.keys() if key.namespace == namespace)  # noqa: SIM118

    def statistics(self) -> ConditioningStatistics:
        """Counts so far, and what is held now."""
        with self._lock:
            held = self._held.statistics()
            return ConditioningStatistics(
                computed=self._computed,
                reused=self._reused,
                failures=self._failures,
                evictions=held.evictions,
                refusals=held.refusals,
                entries=held.entries,
                size_bytes=held.size_bytes,
                pinned_bytes=held.pinned_bytes,
                max_bytes=held.max_bytes,
            )

    def __contains__(self, content: Digest) -> bool:
        """Whether a key is held for everyone; no use of it."""
        return _Key(content, ()) in self._held

    def _enter(self, key: _Key, compute: Callable[[], V]) -> tuple[_Use[V], bool]:
        """The use of a value that is there, and whether it was without our computing it."""
        while True:
            with self._lock:
                use = self._uses.get(key)
                first = use is None
                if use is None:
                    use = self._uses[key] = _Use()
                    use.value = use.pin.enter_context(self._held.pinned(key))
                    if use.value is not None:
                        use.done.set()
                        self._reused += 1
                        return use, True
                elif use.owner == threading.get_ident() and not use.done.is_set():
                    raise RuntimeError(f"computing {key.content[:12]}… asks for its own value")
                else:
                    use.users += 1
            if first:
                self._compute(key, use, compute)
                return use, False
            try:
                use.done.wait()
            except BaseException:  # interrupted
                self._leave(key, use)
                raise
            if use.value is not None:
                with self._lock:
                    self._held.get(key)  # now the most recently used
                    self._reused += 1
                return use, True

    def _compute(self, key: _Key, use: _Use[V], compute: Callable[[], V]) -> None:
        try:
            value = compute()
            size_bytes = ENTRY_BYTES + value.size_bytes
            with self._lock:
                if self._held.put(key, value, size_bytes):
                    use.pin.enter_context(self._held.pinned(key))
                use.value = value
                self._computed += 1
        except BaseException:
            with self._lock:
                self._failures += 1
                del self._uses[key]  # who waits will find nothing, and compute
            raise
        finally:
            use.done.set()

    def _leave(self, key: _Key, use: _Use[V]) -> None:
        with self._lock:
            use.users -= 1
            if not use.users:
                use.pin.close()
                del self._uses[key]  # a failed one's owner never leaves it: this is ours
