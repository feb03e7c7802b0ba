"""What a job that is in hand tells: from the engine's threads to whoever listens in asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fusion import Event, EventKind
from serving.jobs import Job
from serving.packet import JobPacket


@dataclass(frozen=True)
class Outcome:
    """How a job ended: as it was written down, and the pictures' bytes."""

    job: Job
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class News:
    """One thing to tell: an event on the way, or the outcome, which is the last."""

    event: Event | None = None
    outcome: Outcome | None = None


@dataclass(eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[News] = field(default_factory=asyncio.Queue)
    events: bool = True
    steps: bool = False


class Feed:
    """The news of one job. Safe to use from any thread.

    waiting: how many requests wait for the outcome; it is the desk's, which counts in its loop.
    packet: of the job as it was taken in hand, which says whether it goes on though nobody waits.
    """

    def __init__(self, packet: JobPacket) -> None:
        self.waiting = 0
        self.packet = packet
        self._lock = threading.Lock()
        self._past: list[News] = []
        self._listeners: list[_Listener] = []

    @property
    def ended(self) -> bool:
        """Whether the outcome was told."""
        with self._lock:
            return any(news.outcome is not None for news in self._past)

    def tell(self, event: Event) -> None:
        """An event happened; the engine's own ending is told by `end`, once it is written down."""
        if event.kind.last:
            return
        news = News(event)
        with self._lock:
            # A step means nothing to who comes later, nor to who waits for the outcome only.
            passing = event.kind is EventKind.STEP
            if not passing:
                self._past.append(news)
            wanted = [one for one in self._listeners if one.events and (one.steps or not passing)]
            self._send(news, wanted)

    def end(self, outcome: Outcome) -> None:
        """The job has ended: nothing follows."""
        news = News(outcome=outcome)
        with self._lock:
            self._past = [news]  # previews are pictures: they are not kept
            self._send(news, self._listeners)

    async def listen(self, *, events: bool = True, steps: bool = False) -> AsyncIterator[News]:
        """All news from the first, as they come, to the outcome. events: not the outcome alone;
        steps: those of the drawing too, from now on.
        """
        listener = _Listener(asyncio.get_running_loop(), events=events, steps=steps)
        with self._lock:
            for news in self._past:
                if events or news.outcome is not None:
                    listener.queue.put_nowait(news)
            self._listeners.append(listener)
        try:
            while True:
                news = await listener.queue.get()
                yield news
                if news.outcome is not None:
                    return
        finally:
            with self._lock:
                self._listeners.remove(listener)

    async def outcome(self) -> Outcome:
        """Wait for the end."""
        async for news in self.listen(events=False):
            if news.outcome is not None:
                return news.outcome
        raise RuntimeError("a feed ends with an outcome")

    def _send(self, news: News, listeners: list[_Listener]) -> None:
        for one in listeners:
            try:
                one.loop.call_soon_threadsafe(one.queue.put_nowait, news)
            except RuntimeError:  # its loop has ended
                continue
