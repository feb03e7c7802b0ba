"""Drawing the cases: block by block, the arms in turn, each block together through the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from eval.ab.arms import engine_of, request_of
from eval.ab.cases import Cases, SuiteCase
from eval.ab.config import Config
from eval.ab.journal import PICTURES, Drawn, Journal
from eval.ab.results import StageVisit

if TYPE_CHECKING:
    from fusion import Engine, FusionResult, Handle

WARM_SEED: Final = 2**31  # of the picture each engine draws before any is counted
Advance = Callable[[], None]


class Studio:
    """The engines of a run's arms. Arms with equal engine settings still have one each, so that
    what one remembers does not help the other.
    """

    def __init__(self, config: Config, at_once: int) -> None:
        """Opens every bundle. at_once: cases of the largest block, all of which may wait.

        Raises what Engine.load raises.
        """
        self._settings = {name: config.arms[name] for name in config.order}
        self._engines = {
            name: engine_of(arm, config.bundle, at_once) for name, arm in self._settings.items()
        }

    @property
    def arms(self) -> tuple[str, ...]:
        """Their names, the reference first."""
        return tuple(self._settings)

    def engine(self, arm: str) -> Engine:
        """The engine of an arm."""
        return self._engines[arm]

    def check(self, case: SuiteCase) -> None:
        """Whether every arm could draw the case, before anything is drawn.

        Raises InvalidRequest and its kinds, Unsupported, PromptTooLong …
        """
        from fusion import InvalidRequest

        for name, settings in self._settings.items():
            try:
                self._engines[name].resolve(request_of(settings, case))
            except InvalidRequest as error:
                raise type(error)(f"arm {name!r}: {error}") from error

    def warm(self, case: SuiteCase) -> None:
        """Load the models and draw one picture in each arm that nobody counts."""
        from fusion import FusionError
        from models import ModelsError
        from prompting import PromptingError

        for name, settings in self._settings.items():
            engine = self._engines[name].warm()
            other = settings.model_copy(update={"seed_offset": WARM_SEED})
            with suppress(FusionError, ModelsError, PromptingError):  # the case itself will tell
                engine.fuse(request_of(other, case), namespace="warm")
            engine.forget("warm")

    def remember(self, arm: str, cases: Sequence[SuiteCase]) -> None:
        """Encode again what a process before this one had encoded, in its order.

        So an arm's cache holds what it held, and a run that was stopped reuses as much as another.
        """
        if self._settings[arm].cache:
            requests = [request_of(self._settings[arm], case, words_only=True) for case in cases]
            for _ in self._engines[arm].encode_prompts(requests):
                pass

    def draw(
        self, arm: str, cases: Sequence[SuiteCase]
    ) -> Iterator[tuple[SuiteCase, FusionResult | str]]:
        """Draw cases together; each with its result, or why there is none.

        What is wrong with a picture or a prompt fails its own case; a fault of the machine is
        raised.
        """
        from fusion import DrawingFailed, FusionError
        from models import ModelsError
        from prompting import PromptingError

        engine, settings = self._engines[arm], self._settings[arm]
        handles: list[tuple[SuiteCase, Handle | str]] = []
        try:
            for case in cases:
                try:
                    handles.append((case, engine.submit(request_of(settings, case))))
                except (FusionError, ModelsError, PromptingError) as error:
                    handles.append((case, f"{type(error).__name__}: {error}"))
            for case, handle in handles:
                if isinstance(handle, str):
                    yield case, handle
                    continue
                try:
                    outcome: FusionResult | str = handle.result()
                except (FusionError, ModelsError, PromptingError, DrawingFailed) as error:
                    outcome = f"{type(error).__name__}: {error}"
                yield case, outcome
        finally:
            for _, handle in handles:
                if not isinstance(handle, str):
                    handle.cancel()

    def close(self) -> None:
        """End all engines."""
        for engine in self._engines.values():
            engine.close(cancel=True)


def blocks_of(cases: Cases, size: int) -> list[range]:
    """Consecutive cases, at least `size` in a block but the last; a person's are in one."""
    blocks, first = [], 0
    for number in range(1, len(cases) + 1):
        ends = number == len(cases)
        if ends or (number - first >= size and cases.unit_of(number) != cases.unit_of(number - 1)):
            blocks.append(range(first, number))
            first = number
    return blocks


def turn_of(arms: Sequence[str], block: int) -> list[str]:
    """The order of the arms in a block: it turns, so that who is first is nobody's advantage."""
    ordered = list(arms) if block % 2 == 0 else list(reversed(arms))
    start = (block // 2) % len(arms)
    return ordered[start:] + ordered[:start]


def draw_block(
    studio: Studio,
    cases: Sequence[SuiteCase],
    block: int,
    journal: Journal,
    advance: Advance = lambda: None,
) -> None:
    """Draw in every arm what the journal does not hold yet.

    The photos are there before the first arm begins, or making them would be its time.
    """
    for case in cases:
        case.pictures  # noqa: B018  # made when it is first asked for, and kept
    for arm in turn_of(studio.arms, block):
        missing = [case for case in cases if (case.number, arm) not in journal.drawn]
        for case, outcome in studio.draw(arm, missing):
            if isinstance(outcome, str):
                journal.draw(Drawn(case=case.number, arm=arm, failure=outcome), None)
            else:
                line = line_of(case.number, arm, studio.arms.index(arm), outcome)
                journal.draw(line, outcome.images[0])
            advance()


def line_of(case: int, arm: str, arm_number: int, result: FusionResult) -> Drawn:
    """A result as the journal keeps it. The costs are those of the engine's own account."""
    usage = result.usage
    denoise = {str(stage): seconds for stage, seconds in usage.seconds_by_stage.items()}
    elsewhere = sum(seconds for stage, seconds in denoise.items() if stage not in _SHARED)
    image = result.images[0]
    return Drawn(
        case=case,
        arm=arm,
        picture=f"{PICTURES}/{arm_number}/{case:05d}.png",
        prompt=result.plan.prompt,
        negative_prompt=result.plan.negative_prompt,
        size=image.size,
        costs={
            "seconds": usage.denoiser_seconds + elsewhere,
            "latency": usage.seconds,
            "tokens": usage.tokens,
            "positions_computed": usage.positions_computed,
            "positions_reused": usage.positions_reused,
            "evaluations": usage.denoiser_evaluations,
            "shallow_evaluations": usage.shallow_evaluations,
        },
        trace=tuple(
            StageVisit(
                stage=str(record.stage),
                seconds=round(record.seconds, 6),
                decisions=record.decisions,
                downgrades=record.downgrades,
            )
            for record in result.trace.records
        ),
        warnings=result.warnings,
    )


_SHARED: Final = ("denoise", "load")  # shared with others, or paid once
