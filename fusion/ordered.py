"""Many requests at once, their results in the order given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from fusion.progress import Handle
from fusion.request import FusionRequest
from fusion.result import FusionResult


def in_order(
    requests: Iterable[FusionRequest], submit: Callable[[FusionRequest], Handle]
) -> Iterator[FusionResult]:
    """The results of requests, as they come. submit: waits where there is no room for another.

    Raises what goes wrong with the first that fails; those after it are cancelled, as they are when
    the iteration is given up.
    """
    handles: deque[Handle] = deque()
    refused: Exception | None = None
    try:
        for request in requests:
            try:
                handles.append(submit(request))
            except Exception as error:
                refused = error  # those before it come first
                break
            while handles[0].done():
                yield handles[0].result()
                handles.popleft()
                if not handles:
                    break
        while handles:
            yield handles[0].result()
            handles.popleft()
        if refused is not None:
            raise refused
    finally:
        for handle in handles:
            handle.cancel()
