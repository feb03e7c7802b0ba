"""What a run is before anything is drawn: suite, bundles, judges, and the metrics it can have."""

from __future__ import annotations

from dataclasses import dataclass

from eval.ab.cases import Cases, cases_of
from eval.ab.catalogue import Entry, Need, chosen
from eval.ab.config import Config, ReadConfig
from eval.ab.errors import MetricUnavailable
from eval.ab.journal import Header, fingerprint
from eval.ab.judging import Jury
from eval.ab.suite import Suite, read_suite
from eval.measure import machine
from models import Bundle, choose_device, open_bundle


@dataclass(frozen=True)
class Plan:
    """A run, apart from what was drawn.

    left_out: metrics of the default gate that cannot be measured; notes: what else cannot; bundles:
    by arm, the reference first; jury: of the reference's bundle; machine: in words.
    """

    read: ReadConfig
    suite: Suite
    cases: Cases
    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    bundles: dict[str, Bundle]
    jury: Jury
    header: Header
    machine: str

    @property
    def gate_keys(self) -> set[str]:
        """The metrics the gate asks for."""
        return {*self.read.config.gate.not_worse, *self.read.config.gate.better}


def plan_of(read: ReadConfig) -> Plan:
    """Opens suite, bundles and judges.

    Raises SuiteInvalid, MetricUnavailable, and what bundles raise.
    """
    config = read.config
    suite = read_suite(config.suite, read.place)
    bundles = {
        name: open_bundle(config.arms[name].bundle or config.bundle) for name in config.order
    }
    reference = bundles[config.order[0]]
    cases = cases_of(suite, config.seed, reference.manifest.size)
    device = choose_device(config.arms[config.order[0]].device)
    jury = Jury(reference, device)
    entries, notes, left_out = _metrics(config, cases, jury)
    return Plan(
        read, suite, cases, entries, left_out, notes, bundles, jury,
        _header(read, suite, cases, bundles), machine(device),
    )  # fmt: skip


def _metrics(
    config: Config, cases: Cases, jury: Jury
) -> tuple[tuple[Entry, ...], tuple[str, ...], tuple[str, ...]]:
    """The metrics, what else there is and why not, and what the default gate does without."""
    heads = [head for head in cases.heads() if head in jury.heads]
    missing = jury.missing
    if not heads:
        missing |= {Need.ATTRIBUTE_JUDGE}
    if not cases.have_others():
        missing |= {Need.OTHER_PICTURE}
    if not config.memory:
        missing |= {Need.MEMORY_PROCESS}
    if config.price is None:
        missing |= {Need.PRICE}
    entries, notes = chosen(config.metrics, missing, heads)
    measured = {entry.key for entry in entries}
    gate, stated = config.gate, "not_worse" in config.gate.model_fields_set
    named = [*gate.better, *(gate.not_worse if stated else ())]
    chosen([key for key in named if key not in measured], missing, heads)  # says what it needs
    left_out = tuple(key for key in gate.not_worse if key not in measured)
    if not named and len(left_out) == len(gate.not_worse):
        raise MetricUnavailable(
            f"nothing of the default gate ({', '.join(gate.not_worse)}) is measured here: give a "
            "[gate] of metrics that are"
        )
    return entries, notes, left_out


def _header(read: ReadConfig, suite: Suite, cases: Cases, bundles: dict[str, Bundle]) -> Header:
    """What decides what is drawn; the gate and the metrics may change without drawing anew."""
    config = read.config
    told = {
        "suite": suite.model_dump_json(exclude={"title"}),
        "people": cases.content(),
        "seed": str(config.seed),
        "order of the arms": ", ".join(config.order),
        "block": str(config.block),
    }
    for name, arm in config.arms.items():
        told[f"arm {name}"] = arm.model_dump_json(exclude={"bundle"})
        told[f"bundle of {name}"] = bundles[name].digest
    return Header(
        fingerprint=fingerprint(told), told=told, name=config.name, place=read.place.resolve()
    )
