"""One attempt at a request's pictures on its way through the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from fusion.conditioning import Conditioning
from fusion.sampler import Row

OnStep = Callable[[int, int], None]  # steps done, steps in all
OnPreview = Callable[[int, Tensor], None]  # steps done, the latents the first row is heading for


@dataclass(frozen=True)
class DrawingSpent:
    """What an attempt took of the loop.

    steps: of each row. evaluations: pictures through the whole denoiser, shallow_evaluations:
    through its outermost blocks only. seconds: from joining the loop to leaving it; cpu_seconds:
    what the processors worked for the process meanwhile; busy_seconds: of the seconds, the steps'
    own, shared among the rows of each step by their branches. mates: rows of other requests, on
    average over the steps. energy_millijoules: of the device, shared likewise; None where it is not
    measured. splits: how often its batch was halved, for want of memory or to find
    out which row fails.
    """

    steps: int
    evaluations: int = 0
    shallow_evaluations: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    busy_seconds: float = 0.0
    energy_millijoules: int | None = None
    mates: float = 0.0
    splits: int = 0


@dataclass(eq=False)
class Drawing:
    """Rows that are drawn with one conditioning.

    check raises to stop the drawing; done is told the end: None, or what went wrong. previews: how
    many to show along the way.
    """

    rows: tuple[Row, ...]
    conditioning: Conditioning
    check: Callable[[], None]
    on_step: OnStep
    done: Callable[[BaseException | None], None]
    previews: int = 0
    on_preview: OnPreview = lambda step, latents: None
    evaluations: int = 0
    shallow_evaluations: int = 0
    busy_seconds: float = 0.0
    energy_millijoules: int | None = None
    splits: int = 0
    _joined: float = 0.0
    _left: float = 0.0
    _worked: tuple[float, float] = (0.0, 0.0)
    _mates: list[int] = field(default_factory=list)
    _told: int = 0

    @property
    def lane(self) -> tuple[int, ...]:
        """What rows must have in common to be drawn together: size, and tokens given."""
        text = self.conditioning.positive.text
        identity = self.conditioning.positive.identity
        size = self.rows[0].latents.shape[-2:]
        return (*size, text.tokens, 0 if identity is None else identity.tokens)

    @property
    def steps(self) -> int:
        """Of each row: they are alike."""
        return self.rows[0].steps

    @property
    def latents(self) -> tuple[Tensor, ...]:
        """As far as they are drawn, [1, channels, height, width] each."""
        return tuple(row.latents for row in self.rows)

    @property
    def finished(self) -> bool:
        """Whether every row is."""
        return all(row.finished for row in self.rows)

    @property
    def spent(self) -> DrawingSpent:
        """What it has taken so far."""
        return DrawingSpent(
            steps=self.steps,
            evaluations=self.evaluations,
            shallow_evaluations=self.shallow_evaluations,
            seconds=(self._left or time.perf_counter()) - self._joined if self._joined else 0.0,
            cpu_seconds=self._worked[1] - self._worked[0],
            busy_seconds=self.busy_seconds,
            energy_millijoules=self.energy_millijoules,
            mates=sum(self._mates) / len(self._mates) if self._mates else 0.0,
            splits=self.splits,
        )

    def joins(self) -> None:
        """The loop has taken it up."""
        self._joined = time.perf_counter()
        self._worked = (time.process_time(),) * 2

    def leaves(self) -> None:
        """The loop has let it go."""
        self._left = time.perf_counter()
        self._worked = (self._worked[0], time.process_time())

    def took(self, branches: int, whole: bool) -> None:
        """A row of it went one step with so many branches, through all of the denoiser or not."""
        if whole:
            self.evaluations += branches
        else:
            self.shallow_evaluations += branches

    def accompanied(self, mates: int) -> None:
        """A step was drawn beside so many rows of others."""
        self._mates.append(mates)

    def tell(self) -> None:
        """Tell the steps done, as soon as there is one more: all rows' on average."""
        done = sum(row.position for row in self.rows) // len(self.rows)
        if done > self._told:
            self._told = done
            self.on_step(done, self.steps)

    @property
    def wants_preview(self) -> bool:
        """Whether the first row's next step should be looked at, at even distances."""
        position, steps, count = self.rows[0].position, self.steps, self.previews
        if not count:
            return False
        before = position * (count + 1) // steps
        return before < (position + 1) * (count + 1) // steps and position + 1 < steps

    def preview(self, latents: Tensor) -> None:
        """Show what the first row is heading for after its next step."""
        self.on_preview(self.rows[0].position + 1, latents)
