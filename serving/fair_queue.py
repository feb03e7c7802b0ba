"""Whose turn it is: tenants take turns, so that one's hundred do not stop another's one."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """First in, first out for each tenant; round robin among tenants. Holds no lock."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, tenant: str, item: Item) -> None:
        """Stand at the end of the tenant's line."""
        self._lines.setdefault(tenant, deque()).append(item)
        self._count += 1

    def put_first(self, tenant: str, item: Item) -> None:
        """Stand where one was that could not be served after all."""
        self._lines.setdefault(tenant, deque()).appendleft(item)
        self._lines.move_to_end(tenant, last=False)
        self._count += 1

    def take(self) -> Item | None:
        """The next one; its tenant is then the last to have another turn."""
        if not self._count:
            return None
        tenant, line = next(iter(self._lines.items()))
        item = line.popleft()
        self._count -= 1
        if line:
            self._lines.move_to_end(tenant)
        else:
            del self._lines[tenant]
        return item

    def remove(self, tenant: str, item: Item) -> bool:
        """Leave the line; whether it stood there."""
        line = self._lines.get(tenant)
        if line is None or item not in line:
            return False
        line.remove(item)
        self._count -= 1
        if not line:
            del self._lines[tenant]
        return True
