"""A pool of prompts on disk, so that a restarted server starts warm.

A folder with `index.json` (what is held, of which weights) and one safetensors file, whose digest
the index names; the index is sealed by a digest of its own. It is written last and in one piece: a
save that is cut short leaves what was saved before as it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cache import Digest, PoolRecord, Scope, digest_bytes, digest_file
from models.errors import PoolFileRejected
from models.prefix_states import PrefixStates, PromptStates
from models.text_encoder import PrefixCachedTextEncoder
from models.text_forward import Output

INDEX_NAME: Final = "index.json"
_STATES_NAME: Final = re.compile(r"states-[0-9a-f]{16}\.safetensors")
_Value = TypeVar("_Value")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolEntry(_Strict):
    """One thing held, as PoolRecord has it."""

    namespace: tuple[str, ...]
    clip_skip: int
    final_norm: bool
    tokens: tuple[int, ...]
    start: int | None


class PoolIndex(_Strict):
    """What a folder holds. model: the encoder's scope with clip-skip 0 and the final norm; digest:
    of the states' file; seal: of all the rest of the index.
    """

    format: Literal[1]
    model: str
    states: str
    digest: str
    entries: tuple[PoolEntry, ...]
    seal: str = ""

    def content(self) -> Digest:
        """What the seal must be."""
        return digest_bytes(self.model_dump_json(exclude={"seal"}).encode())


def save_pool(encoder: PrefixCachedTextEncoder, directory: Path) -> int:
    """Write what the encoder's pool holds of its model, as the model is now; how many entries.

    Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outputs = {encoder.scope_of(output).model: output for output in tuple(encoder.outputs)}
    tensors: dict[str, Tensor] = {}
    entries: list[PoolEntry] = []
    for record in encoder.pool.records():
        output = outputs.get(record.scope.model)
        if output is None:
            continue
        for name, tensor in _parts(record).items():
            tensors[f"{len(entries)}.{name}"] = tensor.cpu()
        entries.append(
            PoolEntry(
                namespace=record.scope.namespace,
                clip_skip=output.clip_skip,
                final_norm=output.final_norm,
                tokens=tuple(record.tokens),
                start=record.start,
            )
        )
    temporary = directory / f"states-{os.getpid()}.part"
    try:
        save_file(tensors, temporary)
        content = digest_file(temporary)
        states = directory / f"states-{content[:16]}.safetensors"
        os.replace(temporary, states)
    except SafetensorError as error:  # such as a full disk
        raise OSError(f"{directory}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    index = PoolIndex(
        format=1,
        model=encoder.scope_of(Output()).model,
        states=states.name,
        digest=content,
        entries=tuple(entries),
    )
    sealed = index.model_copy(update={"seal": index.content()})
    _write(directory / INDEX_NAME, sealed.model_dump_json())
    for old in directory.glob("states-*.safetensors"):
        if old != states and _STATES_NAME.fullmatch(old.name):
            old.unlink()
    return len(entries)


def read_pool_index(directory: Path, *, verify: bool = False) -> PoolIndex:
    """What a folder holds, without its states; verify: whether these are as they were saved.

    Raises PoolFileRejected.
    """
    file = directory / INDEX_NAME
    try:
        index = PoolIndex.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise PoolFileRejected(
            f"{directory} holds no saved pool (no {INDEX_NAME}): make one with `limner cache warm`"
        ) from error
    except (OSError, ValidationError) as error:
        raise PoolFileRejected(
            f"{file} is no index of a saved pool: give another folder"
        ) from error
    if index.seal != index.content():
        raise PoolFileRejected(f"{file} was changed since it was saved: warm the pool anew")
    if verify:
        _verified_states(index, directory)
    return index


def load_pool(encoder: PrefixCachedTextEncoder, directory: Path) -> int:
    """Take a saved pool into the encoder's; how many entries found room.

    Raises PoolFileRejected, with nothing taken: not a saved pool, cut short, changed since, or made
    with other weights, adapters, precision or kind of device.
    """
    index = read_pool_index(directory)
    if index.model != encoder.scope_of(Output()).model:
        raise PoolFileRejected(
            f"{directory} was saved with another text encoder (weights, adapters, precision or "
            "device): warm a new one with `limner cache warm`"
        )
    states = _verified_states(index, directory)
    records = _reading(states, lambda: list(_read(encoder, index, states)))
    encoder.outputs |= {Output(entry.clip_skip, entry.final_norm) for entry in index.entries}
    return sum(encoder.pool.keep(record) for record in records)


def _verified_states(index: PoolIndex, directory: Path) -> Path:
    """The file of the states, if it is as it was saved. Raises PoolFileRejected."""
    states = directory / index.states
    if not _STATES_NAME.fullmatch(index.states) or not states.is_file():
        raise PoolFileRejected(f"{states} is missing: warm the pool anew")
    if _reading(states, lambda: digest_file(states)) != index.digest:
        raise PoolFileRejected(f"{states} was cut short or changed: warm the pool anew")
    return states


def _reading(states: Path, read: Callable[[], _Value]) -> _Value:
    try:
        return read()
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise PoolFileRejected(f"{states}: {error}; warm the pool anew") from error


def _read(encoder: PrefixCachedTextEncoder, index: PoolIndex, states: Path) -> Iterator[PoolRecord]:
    with safe_open(states, framework="pt", device="cpu") as file:
        for number, entry in enumerate(index.entries):
            model = encoder.scope_of(Output(entry.clip_skip, entry.final_norm)).model
            names = _WHOLE if entry.start is None else _SLAB
            parts = {name: file.get_tensor(f"{number}.{name}") for name in names}
            parts = {name: tensor.to(encoder.device) for name, tensor in parts.items()}
            yield _record(entry, model, parts)


_WHOLE = ("hidden", "pooled")
_SLAB = ("keys", "values", "hidden")


def _parts(record: PoolRecord) -> Mapping[str, Tensor]:
    names = _WHOLE if record.start is None else _SLAB
    return {name: cast("Tensor", getattr(record.value, name)) for name in names}


def _record(entry: PoolEntry, model: Digest, parts: Mapping[str, Tensor]) -> PoolRecord:
    """Raises ValueError for states of another length than the tokens they are said to be of."""
    positions = len(entry.tokens) - (entry.start or 0)
    if parts["hidden"].dim() != 2 or parts["hidden"].shape[0] != positions or positions < 1:
        raise ValueError(f"states of {list(parts['hidden'].shape)} for {positions} positions")
    value: PromptStates | PrefixStates
    if entry.start is None:
        value = PromptStates(parts["hidden"], parts["pooled"])
    else:
        value = PrefixStates(parts["keys"], parts["values"], parts["hidden"])
        if value.keys.shape != value.values.shape or value.keys.shape[2] != positions:
            raise ValueError(f"keys of {list(value.keys.shape)} for {positions} positions")
    return PoolRecord(Scope(entry.namespace, model), entry.tokens, entry.start, value)


def _write(file: Path, text: str) -> None:
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
