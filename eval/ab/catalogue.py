"""What is measured: every metric, what it needs, and how much worse is still not worse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto
from typing import Final, Literal

from eval.ab.errors import MetricUnavailable, UnknownMetric
from eval.ab.results import Metric


class Need(Enum):
    """What must be there for a metric."""

    RECOGNISER_JUDGE = auto()
    ATTRIBUTE_JUDGE = auto()
    FACES = auto()
    CLIP = auto()
    OTHER_PICTURE = auto()
    MEMORY_PROCESS = auto()
    PRICE = auto()


_OFFERED: Final = {Need.MEMORY_PROCESS, Need.PRICE}  # no lack: nobody asked for it
NEEDED: Final = {
    Need.RECOGNISER_JUDGE: "a bundle with judges: a recogniser that conditions no picture",
    Need.ATTRIBUTE_JUDGE: "a bundle with judges, and wishes in attributes they know",
    Need.FACES: "a bundle with face analysis",
    Need.CLIP: "a bundle with a CLIP vision tower",
    Need.OTHER_PICTURE: "a second picture of each person",
    Need.MEMORY_PROCESS: "memory = true in the config, for it takes a process of its own",
    Need.PRICE: "a [price] table in the config",
}


@dataclass(frozen=True)
class Entry:
    """A metric of the catalogue.

    margin: how much worse is not worse, in the metric's unit; for agreement the floor; None: only
    better and worse are told. relative: the margin is a share of the reference's mean. test: what
    fits the shape of its differences. unit: of independence.
    """

    metric: Metric
    needs: frozenset[Need] = frozenset()
    margin: float | None = None
    relative: bool = False
    test: Literal["Wilcoxon", "sign"] = "Wilcoxon"
    unit: Literal["people", "blocks", "pictures"] = "people"

    @property
    def key(self) -> str:
        """The metric's key."""
        return self.metric.key


def _entry(  # one line of the catalogue
    key: str, title: str, unit: str, kind: str, more_is: str, digits: int, *needs: Need,
    note: str = "", margin: float | None = None, relative: bool = False,
    independent: str = "people", test: str = "Wilcoxon",
) -> Entry:  # fmt: skip
    metric = Metric.model_validate(
        {"key": key, "title": title, "unit": unit, "kind": kind, "more_is": more_is,
         "digits": digits, "note": note}
    )  # fmt: skip
    return Entry(metric, frozenset(needs), margin, relative, test, independent)  # type: ignore[arg-type]


_JUDGE, _ATTRIBUTES, _FACES = Need.RECOGNISER_JUDGE, Need.ATTRIBUTE_JUDGE, Need.FACES
CATALOGUE: Final[dict[str, Entry]] = {
    entry.key: entry
    for entry in (
        _entry(
            "identity", "identity, by the judge", "", "quality", "better", 3, _JUDGE, _FACES,
            margin=0.01, note="cosine of the picture with a picture of the person that it was not "
            "made from, where there is one, by a recogniser that conditioned nothing; 0 where no "
            "face is found",
        ),
        _entry(
            "identity_conditioner", "identity, by the conditioner", "", "quality", "better", 3,
            _FACES, margin=0.01, note="cosine with the photo it was made from, by the recogniser "
            "that conditioned it: easily flattered",
        ),
        _entry(
            "copy_paste", "copy-paste measure", "", "quality", "worse", 3, _JUDGE, _FACES,
            Need.OTHER_PICTURE, margin=0.05, note="(θ(out, other) − θ(out, photo)) / θ(photo, "
            "other), by the judge: over zero where the photo is copied",
        ),
        _entry(
            "one_face", "exactly one face", "share", "quality", "better", 1, _FACES, margin=0.01,
            test="sign",
        ),
        _entry(
            "attributes", "attributes obeyed", "share", "quality", "better", 1, _ATTRIBUTES,
            margin=0.02, note="share of what was asked for that the judge sees",
        ),
        _entry(
            "text_agreement", "agreement with the words", "", "quality", "better", 3, Need.CLIP,
            margin=0.01, note="cosine of picture and wish by the bundle's CLIP",
        ),
        _entry(
            "psnr", "PSNR beside the reference", "dB", "agreement", "better", 1, margin=32.0,
            note="of the same case; 100 dB stands for pictures that are identical",
        ),
        _entry(
            "ssim", "SSIM beside the reference", "", "agreement", "better", 3, margin=0.9,
            note="of the same case, on luminance",
        ),
        _entry(
            "kid", "KID", "", "set", "worse", 4, Need.CLIP, independent="pictures",
            note="kernel distance of all pictures to real pictures of the wishes, or to the "
            "reference's where there are none, by the bundle's CLIP (arXiv:1801.01401)",
        ),
        _entry(
            "seconds", "time of the device", "s", "cost", "worse", 3, margin=0.05, relative=True,
            independent="blocks", note="of a picture: its share of the denoiser's time, and its "
            "other stages",
        ),
        _entry(
            "latency", "time until it was there", "s", "cost", "worse", 3, margin=0.05,
            relative=True, independent="blocks", note="with the others of its block in work",
        ),
        _entry(
            "memory", "peak memory", "bytes", "cost", "worse", 0, Need.MEMORY_PROCESS, margin=0.05,
            relative=True, independent="blocks", note="of a process that draws with this arm alone",
        ),
        _entry("tokens", "tokens of the prompt", "tokens", "cost", "worse", 1, margin=0.0),
        _entry(
            "positions_computed", "text positions computed", "positions", "cost", "worse", 1,
            margin=0.0,
        ),
        _entry(
            "positions_reused", "text positions reused", "positions", "cost", "better", 1,
            margin=0.0,
        ),
        _entry(
            "evaluations", "evaluations of the denoiser", "evaluations", "cost", "worse", 1,
            margin=0.0,
        ),
        _entry(
            "cost", "cost of 1,000 pictures", "money", "cost", "worse", 4, Need.PRICE,
            margin=0.05, relative=True, independent="blocks",
            note="seconds of the device at the price of the config",
        ),
    )
}  # fmt: skip
DEFAULT_GATE: Final = {"psnr": 32.0, "identity": 0.01, "attributes": 0.02}
PART_MARGIN: Final = 0.05  # of one attribute, of which there are fewer judgements


def part_of(head: str) -> Entry:
    """The metric of a single attribute."""
    metric = Metric(
        key=f"attributes.{head}", title=f"{head} obeyed", unit="share", kind="quality",
        more_is="better", digits=1, parent="attributes",
    )  # fmt: skip
    return Entry(metric, frozenset({_ATTRIBUTES}), margin=PART_MARGIN, test="sign")


def check_known(keys: Iterable[str]) -> None:
    """Raises UnknownMetric, with what was probably meant."""
    for key in keys:
        if key in CATALOGUE or key.startswith("attributes."):
            continue
        near = get_close_matches(key, CATALOGUE, 1)
        meant = f': did you mean "{near[0]}"?' if near else ""
        raise UnknownMetric(f'unknown metric "{key}"{meant} (known: {", ".join(CATALOGUE)})')


def chosen(
    wanted: Sequence[str] | None, missing: frozenset[Need], heads: Sequence[str]
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The metrics of a run, and why others are left out.

    wanted: those named in the config; None takes all there are. missing: needs that are not met.
    heads: attributes the judge knows and the suite asks for.
    Raises MetricUnavailable for one that was named and cannot be had.
    """
    parts = [part_of(head) for head in heads]
    known = {entry.key: entry for entry in (*CATALOGUE.values(), *parts)}
    entries, left_out = [], []
    for key in known if wanted is None else dict.fromkeys(wanted):
        if key not in known:
            raise MetricUnavailable(
                f'metric "{key}" cannot be had: the suite asks for no such attribute that the '
                f"judge knows ({', '.join(heads) or 'none'})"
            )
        lacking = known[key].needs & missing
        if not lacking:
            entries.append(known[key])
            continue
        reason = NEEDED[sorted(lacking, key=lambda need: need.value)[0]]
        if wanted is not None:
            raise MetricUnavailable(f'metric "{key}" needs {reason}: leave it out, or provide it')
        if known[key].metric.parent == "" and not lacking & _OFFERED:
            left_out.append(f"{known[key].metric.title} was not measured: it needs {reason}")
    if wanted is not None and "attributes" in wanted:
        entries += [part for part in parts if part.key not in wanted]
    return tuple(entries), tuple(left_out)
