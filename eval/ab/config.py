"""The config of an A/B run: arms, suite, gate. One TOML file, refused before anything is drawn."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.ab.arms import ArmSettings, FastArm, check_leave_out
from eval.ab.catalogue import CATALOGUE, DEFAULT_GATE, check_known
from eval.ab.errors import ABError, ArmsAlike, ConfigInvalid, UnknownSetting
from eval.files import complaint
from prompting import PromptingError

_NAME: Final = r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,59}$"
_LATE: Final = {"kid", "memory"}  # of all pictures at once, or of none
Margin = Annotated[float, Field(ge=0, le=1e6)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gate(_Table):
    """`[gate]`: what an arm must reach beside the reference.

    not_worse: metric to margin, for agreement (psnr, ssim) the floor itself; better: metrics that
    must be better besides.
    """

    not_worse: Mapping[str, Margin] = Field(default_factory=lambda: dict(DEFAULT_GATE))
    better: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.not_worse and not self.better:
            raise ValueError("a gate asks for something: name a metric")
        return self


class Price(_Table):
    """`[price]`: what an hour of the device costs, in a currency."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    device_hour: Annotated[float, Field(gt=0)]


class Config(_Table):
    """A run as it is asked for. name: of its folder; reference: the arm to compare with, the first
    if none is named; stop_early: stop once the sequential test has decided the gate; block: cases
    drawn in one arm before the next has its turn; metrics: None for all there are.
    """

    name: Annotated[str, Field(pattern=_NAME)] = ""
    title: str = ""
    suite: str = "mini-quick"
    bundle: str = "mini"
    seed: Annotated[int, Field(ge=0, le=10_000)] = 0
    reference: str = ""
    stop_early: bool = False
    block: Annotated[int, Field(ge=1, le=1000)] = 16
    metrics: tuple[str, ...] | None = None
    memory: bool = False
    gate: Gate = Gate()
    price: Price | None = None
    arms: Mapping[Annotated[str, Field(pattern=_NAME)], ArmSettings]

    @property
    def order(self) -> tuple[str, ...]:
        """The arms' names, the reference first."""
        first = self.reference or next(iter(self.arms))
        return (first, *(name for name in self.arms if name != first))


@dataclass(frozen=True)
class ReadConfig:
    """A config and where it came from: its text, and the folder its paths are relative to."""

    config: Config
    text: str
    place: Path

    def stopping_early(self) -> ReadConfig:
        """The same run, stopped once it is decided. Raises ConfigInvalid where it forbids that."""
        if self.config.stop_early:
            return self
        if "stop_early" in self.config.model_fields_set:
            raise ConfigInvalid("the config says stop_early = false: change it there")
        config = self.config.model_copy(update={"stop_early": True})
        _check_sense(config)
        return replace(self, config=config, text="stop_early = true\n" + self.text)


def read_config(file: Path) -> ReadConfig:
    """Raises ConfigInvalid and its kinds, UnknownMetric."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigInvalid(
            f"there is no config {file}; limner ab example > {file} writes one to begin with"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file} cannot be read: {error}") from error
    return parse_config(text, str(file), file.parent, file.stem)


def parse_config(text: str, called: str, place: Path = Path(), name: str = "run") -> ReadConfig:
    """A config from its text. called: as messages name it; name: of a run that has none.

    Raises as read_config does.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{called} is no TOML: {error}") from error
    _check_names(given, called)
    try:
        config = Config.model_validate({"name": name, **given})
        for arm in config.arms.values():
            check_leave_out(arm)
    except ValidationError as error:
        raise ConfigInvalid(f"{called}: {complaint(error)}") from error
    except PromptingError as error:
        raise ConfigInvalid(f"{called}: leave_out: {error}") from error
    try:
        _check_sense(config)
    except ABError as error:
        raise type(error)(f"{called}: {error}") from error
    return ReadConfig(config, text, place)


def _check_names(given: Mapping[str, Any], called: str) -> None:
    """Unknown keys, with what was probably meant; pydantic would only say that they are extra."""
    _check_keys(given, Config, called, "config")
    arms = given.get("arms")
    if not isinstance(arms, dict) or not all(isinstance(arm, dict) for arm in arms.values()):
        raise ConfigInvalid(f"{called}: give two or more arms, each a table such as [arms.fast]")
    for name, arm in arms.items():
        _check_keys(arm, ArmSettings, f"{called}: arm {name!r}", "arm")
        if isinstance(arm.get("fast"), dict):
            _check_keys(arm["fast"], FastArm, f"{called}: arm {name!r}: fast", "table")
    for key, table in (("gate", Gate), ("price", Price)):
        if isinstance(given.get(key), dict):
            _check_keys(given[key], table, f"{called}: {key}", "table")


def _check_keys(given: Mapping[str, Any], table: type[BaseModel], where: str, kind: str) -> None:
    known = list(table.model_fields)
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1)
            meant = f': did you mean "{near[0]}"?' if near else ""
            raise UnknownSetting(
                f'{where}: no {kind} has a setting "{key}"{meant} (known: {", ".join(known)})'
            )


def _check_sense(config: Config) -> None:
    """What no single value says: arms that differ, names that exist."""
    if len(config.arms) < 2:
        raise ConfigInvalid("fewer than two arms: there is nothing to compare with")
    if config.reference and config.reference not in config.arms:
        raise ConfigInvalid(
            f"the reference {config.reference!r} is no arm: one of {', '.join(config.arms)}"
        )
    for (first, one), (second, other) in combinations(config.arms.items(), 2):
        if _whole(one, config) == _whole(other, config):
            raise ArmsAlike(
                f"arms {first!r} and {second!r} differ in nothing: change a setting of one of "
                "them; limner ab aa draws the same arm twice on purpose"
            )
    check_known(config.metrics or ())
    check_known((*config.gate.not_worse, *config.gate.better))
    for key in config.gate.better:
        if key in CATALOGUE and CATALOGUE[key].metric.kind == "agreement":
            raise ConfigInvalid(
                f"nothing agrees better with the reference than it does itself: {key} belongs "
                "under [gate.not_worse], with the least it must be"
            )
    if config.stop_early and (late := {*config.gate.better, *config.gate.not_worse} & _LATE):
        raise ConfigInvalid(
            f"{', '.join(sorted(late))} can be told at the end only: leave stop_early out, or "
            "the metric out of the gate"
        )
    if config.metrics is not None and "not_worse" in config.gate.model_fields_set:
        unmeasured = {*config.gate.not_worse, *config.gate.better} - {*config.metrics}
        if "attributes" in config.metrics:  # which brings its parts
            unmeasured = {key for key in unmeasured if not key.startswith("attributes.")}
        if unmeasured:
            raise ConfigInvalid(
                f"the gate asks for {', '.join(sorted(unmeasured))}, which metrics does not name: "
                "add it there, or leave metrics out"
            )


def _whole(arm: ArmSettings, config: Config) -> ArmSettings:
    return arm if arm.bundle else arm.model_copy(update={"bundle": config.bundle})
