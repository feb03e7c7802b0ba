"""What an engine remembers of prompts: their text states, and the order they are best said in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cache import LayoutMonitor, Namespace, PrefixPool, PromptUse, SegmentOrder, SegmentUse
from fusion.texts import TextEncoders
from fusion.trace import Notes
from models import TextTower
from prompting import Layout, PromptPlan, Tokenizer, count_tokens, joined

_WARMED: Final = 32  # prompts encoded ahead when the order changes
_MOST_WATCHED: Final = 64  # namespaces whose order follows their traffic; the others' begins anew


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are remembered.

    max_bytes: of the pool of text states. ttl_seconds: how long a prompt nobody uses is kept; None
    for ever. warm_from: a pool saved with `limner cache warm`, taken up when the models are loaded.
    adaptive: whether the order of a prompt's segments follows the traffic. Off, the same request
    gives the same picture tomorrow; on, more is reused, and a result names the order it was drawn
    by. threshold: the share of positions reused under which another order is thought about.
    """

    max_bytes: int = 256 << 20
    ttl_seconds: float | None = None
    warm_from: Path | None = None
    adaptive: bool = False
    threshold: float = 0.6


@dataclass(eq=False)
class _Traffic:
    """What a namespace asks for, and the layout in force for it."""

    monitor: LayoutMonitor
    layout: Layout


class PromptMemory:
    """One engine's pool, its text encoders in front of it, and the layouts in force.

    A namespace has its own part of the pool, and a layout that follows its own traffic.
    """

    def __init__(self, settings: PromptSettings) -> None:
        self.pool = PrefixPool(settings.max_bytes, ttl_seconds=settings.ttl_seconds)
        self._settings = settings
        self._traffic: OrderedDict[Namespace, _Traffic] = OrderedDict()
        self._encoders: TextEncoders | None = None
        self._lock = threading.Lock()

    @property
    def layout(self) -> Layout:
        """The one in force for everyone's namespace."""
        return self.layout_of(())

    def layout_of(self, namespace: Namespace) -> Layout:
        """The one in force for a namespace."""
        with self._lock:
            found = self._traffic.get(namespace)
            return Layout.default() if found is None else found.layout

    def forget(self, namespace: Namespace) -> int:
        """Drop a namespace's prompts that are not in use, and its layout; how many entries."""
        with self._lock:
            self._traffic.pop(namespace, None)
        return self.pool.clear(namespace)

    def encoders(self, towers: Sequence[TextTower]) -> TextEncoders:
        """The text encoders behind the pool. Raises PoolFileRejected for a pool to start from."""
        with self._lock:
            if self._encoders is None or self._encoders.towers != tuple(towers):
                encoders = TextEncoders(towers, self.pool)
                if self._settings.warm_from is not None:
                    encoders.load(self._settings.warm_from)
                self._encoders = encoders
            return self._encoders

    def release(self) -> None:
        """Let go of the text encoders; what is remembered of them stays."""
        with self._lock:
            self._encoders = None

    def save(self, directory: Path) -> int:
        """Write what is held of the text encoders in use, so that another engine starts warm (see
        PromptSettings.warm_from); how many entries. Raises OSError.
        """
        with self._lock:
            return 0 if self._encoders is None else self._encoders.save(directory)

    def drawn(
        self,
        plan: PromptPlan,
        positions: int,
        reused: int,
        tokenizer: Any,
        notes: Notes,
        namespace: Namespace = (),
    ) -> None:
        """Take note of a prompt; where the traffic asks for it, change the order and warm it."""
        if not self._settings.adaptive or not plan.segments:
            return
        with self._lock:
            traffic = self._traffic_of(namespace)
            traffic.monitor.record(_use_of(plan, tokenizer), positions, reused)
            order = traffic.monitor.proposal()
            if order is None or self._encoders is None:
                return
            traffic.monitor.switch(order)
            traffic.layout = Layout(order=order.names, version=order.version)
            hottest = traffic.monitor.hottest(_WARMED)
            texts = [joined(use.words for use in prompt) for prompt in hottest]
            self._encoders.warm(texts, namespace)
        notes.decided(
            f"layout {order.version}: recent prompts reuse more in the order "
            f"{', '.join(order.names)}; {len(hottest)} prompts warmed"
        )

    def _traffic_of(self, namespace: Namespace) -> _Traffic:
        found = self._traffic.get(namespace)
        if found is None:
            layout = Layout.default()
            order = SegmentOrder(layout.order, layout.version)
            monitor = LayoutMonitor(order, threshold=self._settings.threshold)
            found = self._traffic[namespace] = _Traffic(monitor, layout)
        self._traffic.move_to_end(namespace)
        while len(self._traffic) > _MOST_WATCHED:
            self._traffic.popitem(last=False)
        return found


def _use_of(plan: PromptPlan, tokenizer: Tokenizer) -> PromptUse:
    return tuple(
        SegmentUse(segment.attribute, segment.text, count_tokens(segment.text, tokenizer))
        for segment in plan.segments
    )
