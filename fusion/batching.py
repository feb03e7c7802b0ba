"""Who is drawn next: rows wait in a lane for each size, and lanes take turns by time.

No tensors here: what a row is, and how long its step took, is the loop's business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")

GROWS_AFTER_STEPS = 32  # steps in a row that a lowered limit held, before it rises by one


@dataclass(eq=False)
class Place(Generic[R]):
    """A row's place in its lane. owner: the request it belongs to; arrival: counted over all."""

    row: R
    owner: Hashable
    arrival: int


@dataclass(eq=False)
class Lane(Generic[R]):
    """The rows of one size. share_seconds: of the loop's time, for each of its requests.

    limit: rows drawn together at most; an out-of-memory lowers it, and it recovers.
    """

    key: Hashable
    limit: int
    share_seconds: float
    places: list[Place[R]] = field(default_factory=list)
    held: int = 0

    @property
    def owners(self) -> int:
        """How many requests wait here."""
        return len({place.owner for place in self.places})


class Batcher(Generic[R]):
    """Rows of many requests in lanes, one lane's rows at a time.

    The lane that has had least time for each of its requests is next, so that a large picture does
    not hold up a small one. Within a lane every request's first row comes before any request's
    second, so that a request of many pictures does not hold up one of a single.
    """

    def __init__(self, largest_batch: int) -> None:
        if largest_batch < 1:
            raise ValueError(f"largest_batch is {largest_batch}: at least one row is drawn")
        self.largest_batch = largest_batch
        self._lanes: dict[Hashable, Lane[R]] = {}
        self._arrivals = 0

    def add(self, row: R, key: Hashable, owner: Hashable) -> None:
        """A row joins the lane of its size, behind those of its kind."""
        lane = self._lanes.get(key)
        if lane is None:
            # A new lane has no claim to the time that others had before it came.
            started = min((one.share_seconds for one in self._lanes.values()), default=0.0)
            lane = self._lanes[key] = Lane(key, self.largest_batch, started)
        lane.places.append(Place(row, owner, self._arrivals))
        self._arrivals += 1

    def leave(self, owner: Hashable) -> None:
        """All rows of a request leave."""
        self._keep(lambda place: place.owner != owner)

    def finish(self, row: R) -> None:
        """One row leaves."""
        self._keep(lambda place: place.row is not row)

    def next(self) -> tuple[Lane[R], list[R]] | None:
        """The rows to draw now, of one lane, in the order they came; None if there are none."""
        if not self._lanes:
            return None
        lane = min(self._lanes.values(), key=lambda one: one.share_seconds)
        ranks: dict[Hashable, int] = {}
        ranked = []
        for place in lane.places:
            rank = ranks.get(place.owner, 0)
            ranks[place.owner] = rank + 1
            ranked.append((rank, place.arrival, place))
        chosen = [place for _, _, place in sorted(ranked, key=lambda one: one[:2])[: lane.limit]]
        return lane, [place.row for place in sorted(chosen, key=lambda one: one.arrival)]

    def charge(self, lane: Lane[R], seconds: float) -> None:
        """A lane's rows were drawn for so long."""
        lane.share_seconds += seconds / max(lane.owners, 1)
        if lane.limit < self.largest_batch:
            lane.held += 1
            if lane.held >= GROWS_AFTER_STEPS:
                lane.limit, lane.held = lane.limit + 1, 0

    def lower(self, lane: Lane[R], rows: int) -> None:
        """So many rows were too many at once: draw half of them together for a while."""
        lane.limit, lane.held = max(rows // 2, 1), 0

    def __len__(self) -> int:
        return sum(len(lane.places) for lane in self._lanes.values())

    def _keep(self, stays: Callable[[Place[R]], bool]) -> None:
        for lane in list(self._lanes.values()):
            lane.places = [place for place in lane.places if stays(place)]
            if not lane.places:
                del self._lanes[lane.key]
