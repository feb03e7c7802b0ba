"""Which beginnings the prompts of a batch share, so that each is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cache import Tokens

# A shared run of fewer positions costs more in a call of its own than it saves.
LEAST_POSITIONS = 4


@dataclass(frozen=True)
class SharedRun:
    """Positions start … stop - 1, alike in all members (indices of rows)."""

    start: int
    stop: int
    members: tuple[int, ...]


def shared_runs(
    rows: Sequence[Tokens], ready: Sequence[int], limits: Sequence[int]
) -> Iterator[SharedRun]:
    """The runs to compute once, each after those that it continues.

    ready: first positions of each row that are there already. limits: where a row's own part
    begins at the latest.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row[: ready[index]]), []).append(index)
    for beginning, members in groups.items():
        yield from _runs(rows, limits, members, len(beginning), len(beginning))


def _runs(
    rows: Sequence[Tokens], limits: Sequence[int], members: list[int], start: int, alike: int
) -> Iterator[SharedRun]:
    """Members agree on the first `alike` positions, of which `start` are there or planned."""
    if len(members) < 2:
        return
    most = min(limits[member] for member in members)
    first = rows[members[0]]
    while alike < most and all(rows[member][alike] == first[alike] for member in members):
        alike += 1
    if alike - start >= LEAST_POSITIONS:
        yield SharedRun(start, alike, tuple(members))
        start = alike
    following: dict[int, list[int]] = {}
    for member in members:
        if alike < limits[member]:
            following.setdefault(rows[member][alike], []).append(member)
    for group in following.values():
        yield from _runs(rows, limits, group, start, alike)
