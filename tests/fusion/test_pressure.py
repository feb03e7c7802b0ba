"""Under pressure: size, then steps, then what is optional; told, and over by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion import (
    Engine,
    EngineSettings,
    FusionRequest,
    Identity,
    Pressure,
    PressureSettings,
    RequestDefaults,
    resolve,
)
from fusion.memory import memory_share
from fusion.pressure import Load, PressurePolicy, relieve
from tests.fusion.conftest import painting, unit

DEFAULTS = RequestDefaults(20, 2.5, 1.0, 0.6, (128, 128))
QUEUE = PressureSettings(queue=(0.5, 0.7, 0.9))
FULL = PressureSettings(memory=(1e-9, 1e-9, 1e-9), recovery=0.0)  # any process holds more
SOMEONE = Identity(embedding=unit(1))


class TestLevels:
    @pytest.mark.parametrize(
        ("load", "level"),
        [
            (Load(), Pressure.NONE),
            (Load(memory=0.91), Pressure.SIZE),
            (Load(queue=0.75), Pressure.STEPS),
            (Load(memory=0.91, queue=0.95), Pressure.STAGES),
        ],
    )
    def test_the_worse_of_memory_and_queue_decides(self, load: Load, level: Pressure) -> None:
        assert PressurePolicy(QUEUE).look(load) is level

    def test_a_full_queue_changes_nothing_unless_a_service_says_so(self) -> None:
        assert PressurePolicy().look(Load(queue=1.0)) is Pressure.NONE

    def test_it_rises_at_once_and_falls_when_the_cause_has_clearly_passed(self) -> None:
        policy = PressurePolicy(QUEUE)
        levels = [policy.look(Load(queue=share)) for share in (0.3, 0.72, 0.68, 0.64, 0.48, 0.4)]
        assert levels == [0, 2, 2, 1, 1, 0]

    @given(st.lists(st.floats(0, 1), max_size=30))
    def test_it_is_never_under_what_the_load_asks_for_and_ends_with_it(
        self, shares: list[float]
    ) -> None:
        policy = PressurePolicy(QUEUE)
        for share in shares:
            assert policy.look(Load(queue=share)) >= PressurePolicy(QUEUE).look(Load(queue=share))
        assert policy.look(Load()) is Pressure.NONE

    @pytest.mark.parametrize(
        "given",
        [
            {"memory": (0.9, 0.8, 1.0)},
            {"queue": (0.05, 0.5, 0.9)},  # it never ended
            {"queue": (0.5, 0.5, 7.0)},
            {"recovery": -0.1},
            {"size": 0},
            {"steps": 1.5},
        ],
    )
    def test_settings_without_meaning_are_refused(self, given: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=next(iter(given))):
            PressureSettings(**given)  # type: ignore[arg-type]


class TestRelief:
    def request(self, **given: object) -> FusionRequest:
        return FusionRequest.model_validate({"identities": (SOMEONE,), "steps": 20, **given})

    def relieved(self, level: Pressure, **given: object) -> tuple[object, ...]:
        resolved = resolve(self.request(**given), DEFAULTS)
        relief = relieve(resolved, level, Load(0.95, 0.5), PressureSettings())
        left = relief.request
        return left.size, left.steps, left.verify, len(relief.downgrades)

    def test_levels_take_more_and_more(self) -> None:
        assert self.relieved(Pressure.NONE) == ((128, 128), 20, True, 0)
        assert self.relieved(Pressure.SIZE) == ((96, 96), 20, True, 1)
        assert self.relieved(Pressure.STEPS) == ((96, 96), 12, True, 2)
        assert self.relieved(Pressure.STAGES) == ((96, 96), 12, False, 3)

    def test_what_is_little_already_stays(self) -> None:
        assert self.relieved(Pressure.STAGES, size=(64, 64), steps=4, verify=False) == (
            (64, 64), 4, False, 0,
        )  # fmt: skip

    def test_a_fusion_keeps_its_targets_size(self) -> None:
        assert self.relieved(Pressure.STEPS, target="b.png") == ((128, 128), 12, True, 1)

    def test_the_gate_goes_with_the_look_it_needs(self) -> None:
        resolved = resolve(self.request(min_identity=0.5), DEFAULTS)
        relief = relieve(resolved, Pressure.STAGES, Load(0.99, 0), PressureSettings())
        assert not relief.request.gated
        assert "second drawings" in relief.downgrades[-1]


class TestEngine:
    def test_a_request_is_told_what_it_lost(self, tiny_bundle: Path) -> None:
        with Engine.load(tiny_bundle, device="cpu", settings=EngineSettings(pressure=FULL)) as full:
            result = full.fuse(FusionRequest(identities=(Identity(image=painting(1)),), steps=20))
        assert result.images[0].size == (96, 96)
        assert result.usage.steps == 12
        assert not result.pictures[0].verified
        downgrades = result.trace.downgrades
        assert [text.split(":")[0] for text in downgrades] == ["size", "steps", "left out"]
        assert "96×96 instead of 128×128" in downgrades[0]

    def test_memory_is_measured(self) -> None:
        assert 0 < memory_share(None) < 1
