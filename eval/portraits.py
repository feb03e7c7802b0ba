"""What the trials amount to: autoencoder, identity of portraits, attributes obeyed."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.bench import Bench, Sighting
from eval.card import Chapter, Figure, Table
from eval.metrics import (
    MOST_DB,
    balanced_accuracy,
    bootstrap,
    confusions,
    copy_paste,
    mean_interval,
    placements,
    psnr,
    share_interval,
)
from eval.trials import Trials

_CONFUSED = 3  # of the most frequent confusions, how many are named

Labels = Sequence[Mapping[str, str | None]]


def autoencoder_chapter(trials: Trials) -> Chapter:
    """PSNR of reconstructions, and how much of a real picture's identity is left in them."""
    decibels = np.array(
        [
            min(psnr(real, back), MOST_DB)
            for real, back in zip(trials.real, trials.restored, strict=True)
        ]
    )
    restored, real = trials.likeness(trials.restored_seen), trials.likeness(trials.real_seen)
    itself = np.sum(trials.restored_seen.embeddings * trials.real_seen.embeddings, axis=1)
    figures = (
        Figure(
            key="autoencoder_psnr", title="PSNR of the reconstruction", unit="dB", digits=2,
            value=float(decibels.mean()), bar=29.0, interval=mean_interval(decibels),
            count=len(trials),
        ),
        Figure(
            key="autoencoder_identity", title="identity left, of another real picture's",
            value=_ratio(restored, real), bar=0.85, ceiling=1.0, count=len(trials),
            interval=_ratio_interval(restored, real),
            note="cosine(photo, reconstruction) over cosine(photo, original): the photo shows the "
            "same person in another look",
        ),
        Figure(
            key="autoencoder_self", title="cosine of reconstruction and its own original",
            value=float(itself.mean()), ceiling=1.0, interval=mean_interval(itself),
            count=len(trials),
        ),
    )  # fmt: skip
    method = f"{len(trials)} real pictures of held-out people at the bundle's size, there and back."
    return Chapter(key="autoencoder", title="Autoencoder", method=method, figures=figures)


def identity_chapter(bench: Bench, trials: Trials) -> Chapter:
    """How much a portrait is its person, by a recogniser that conditioned nothing."""
    count = len(trials)
    drawn, real = trials.likeness(trials.drawn_seen), trials.likeness(trials.real_seen)
    one_face = trials.drawn_seen.counts == 1
    share = share_interval(int(one_face.sum()), count)
    seen = trials.drawn_seen.counts > 0
    first, first_ceiling = (_firsts(trials, seen) for seen in (trials.drawn_seen, trials.real_seen))
    hits = share_interval(int(first.sum()), count)
    figures: tuple[Figure, ...] = (
        _identity_auc(trials, same_gender=True),
        _identity_auc(trials, same_gender=False),
        Figure(
            key="identity_top_1", title=f"top-1 of {1 + len(trials.gallery)} people", unit="share",
            value=float(first.mean()), interval=hits,
            ceiling=float(first_ceiling.mean()), count=count,
        ),
        Figure(
            key="identity_cosine", title="cosine with the source photo", value=float(drawn.mean()),
            interval=mean_interval(drawn), ceiling=float(real.mean()), count=count,
            note="of the autoencoder's reconstruction of the real picture: "
            f"{trials.likeness(trials.restored_seen).mean():.3f}",
        ),
        Figure(
            key="identity_of_ceiling", title="cosine, as a fraction of the ceiling",
            value=_ratio(drawn, real), bar=0.60, interval=_ratio_interval(drawn, real), count=count,
        ),
        Figure(
            key="one_face", title="exactly one face found", unit="share", digits=4, bar=0.99,
            value=float(one_face.mean()), interval=share, count=count,
            ceiling=float((trials.real_seen.counts == 1).mean()),
        ),
    )  # fmt: skip
    if seen.any():
        figures += (_copy_paste(trials, seen),)
    defaults = bench.bundle.manifest.defaults
    method = (
        f"{count} held-out people, one portrait of each: the source is a photo in a look of "
        "chance, the words ask for another look, every value equally often. "
        f"{defaults.steps} steps, guidance {defaults.guidance_scale:g}, the bundle's defaults. "
        f"Impostors are {len(trials.gallery)} photos of other people. The ceiling is the "
        "renderer's own picture of the wished look, at the bundle's size. The judge sees each "
        "picture by the landmarks the bundle's detector finds; no face counts as similarity 0."
    )
    return Chapter(key="identity", title="Portrait against source", method=method, figures=figures)


def attributes_chapter(bench: Bench, trials: Trials) -> Chapter:
    """How often the attribute judge sees what was asked for."""
    truth = [wish.labels for wish in trials.wishes]
    seen = {
        name: bench.judges.attributes.judge(images)
        for name, images in (
            ("drawn", trials.drawn),
            ("restored", trials.restored),
            ("real", trials.real),
        )
    }
    heads = [head for head in bench.judges.attributes.heads if _asked(truth, head)]
    accuracy = {
        name: {head: _accuracy(truth, answers, head) for head in heads}
        for name, answers in seen.items()
    }
    means = {name: float(np.mean(list(values.values()))) for name, values in accuracy.items()}
    worst = min(heads, key=lambda head: accuracy["drawn"][head])
    interval = bootstrap(
        lambda rows: _mean_accuracy(
            [truth[row] for row in rows], [seen["drawn"][row] for row in rows], heads
        ),
        len(trials),
        resamples=200,
    )
    figures = (
        Figure(
            key="attributes_mean", title="mean over attributes", unit="share", bar=0.93,
            value=means["drawn"], interval=interval, ceiling=means["restored"],
            count=len(trials),
            note=f"on real pictures the judge itself is right in {100 * means['real']:.1f} %",
        ),
        Figure(
            key="attributes_least", title=f"least of all: {worst}", unit="share", bar=0.80,
            value=accuracy["drawn"][worst], ceiling=accuracy["restored"][worst],
            count=_asked(truth, worst),
        ),
    )  # fmt: skip
    rows = tuple(
        (
            head,
            f"{100 * accuracy['drawn'][head]:.1f} %",
            f"{100 * accuracy['restored'][head]:.1f} %",
            f"{100 * accuracy['real'][head]:.1f} %",
            str(_asked(truth, head)),
            _mistakes(truth, seen["drawn"], head),
        )
        for head in heads
    )
    table = Table(
        title="Attribute by attribute",
        columns=(
            "attribute", "portrait", "autoencoder's ceiling", "judge on real pictures", "n",
            "most frequent mistakes: asked → seen",
        ),
        rows=rows,
    )  # fmt: skip
    method = (
        "Balanced accuracy (mean recall over the classes) of the attribute judge's answers against "
        "what was asked, on the same portraits. Ages asked for are 20 to 30, 40 to 50 and 62 to "
        "75, judged as young, middle and old; hair colours count where they are seen. The ceiling "
        "is the autoencoder's reconstruction of the real picture."
    )
    return Chapter(
        key="attributes", title="Attributes obeyed", method=method, figures=figures, tables=(table,)
    )


def _identity_auc(trials: Trials, same_gender: bool) -> Figure:
    values = []
    for seen in (trials.drawn_seen, trials.real_seen):
        others = trials.likeness_to_others(seen)
        impostor = others[trials.same_gender] if same_gender else others.ravel()
        values.append(placements(trials.likeness(seen), impostor))
    return Figure(
        key="identity_auc" if same_gender else "identity_auc_all",
        title="identity AUC among others of the same gender" if same_gender else "AUC among all",
        value=float(values[0].mean()), digits=4, interval=mean_interval(values[0]),
        ceiling=float(values[1].mean()), count=len(trials), bar=0.985 if same_gender else None,
    )  # fmt: skip


def _copy_paste(trials: Trials, seen: NDArray[np.bool_]) -> Figure:
    values = copy_paste(
        trials.drawn_seen.embeddings[seen],
        trials.source_seen.embeddings[seen],
        trials.real_seen.embeddings[seen],
    )
    return Figure(
        key="copy_paste", title="copy-paste measure", value=float(values.mean()),
        interval=mean_interval(values), count=len(values),
        note="(θ(out, real) − θ(out, photo)) / θ(real, photo): about zero where nothing is copied, "
        "positive where the photo is nearer than another picture of the person",
    )  # fmt: skip


def _firsts(trials: Trials, seen: Sighting) -> NDArray[np.bool_]:
    best_other = trials.likeness_to_others(seen).max(axis=1)
    return np.asarray(trials.likeness(seen) > best_other)


def _pairs(
    truth: Labels, answers: Sequence[Mapping[str, str]], head: str
) -> tuple[list[str], list[str]]:
    """What was asked and what was seen, where the wished look shows the attribute at all."""
    asked, seen = [], []
    for labels, answer in zip(truth, answers, strict=True):
        label = labels.get(head)
        if label is not None:
            asked.append(label)
            seen.append(answer[head])
    return asked, seen


def _asked(truth: Labels, head: str) -> int:
    return sum(labels.get(head) is not None for labels in truth)


def _accuracy(truth: Labels, answers: Sequence[Mapping[str, str]], head: str) -> float:
    asked, seen = _pairs(truth, answers, head)
    classes = {name: index for index, name in enumerate(sorted({*asked, *seen}))}
    return balanced_accuracy(
        np.array([classes[name] for name in asked]), np.array([classes[name] for name in seen])
    )


def _mean_accuracy(
    truth: Labels, answers: Sequence[Mapping[str, str]], heads: Sequence[str]
) -> float:
    return float(np.mean([_accuracy(truth, answers, head) for head in heads]))


def _mistakes(truth: Labels, answers: Sequence[Mapping[str, str]], head: str) -> str:
    worst = confusions(*_pairs(truth, answers, head), most=_CONFUSED)
    return ", ".join(f"{asked} → {seen} {count}×" for asked, seen, count in worst) or "none"


def _ratio(part: NDArray[np.float32], whole: NDArray[np.float32]) -> float:
    return float(part.mean() / max(float(whole.mean()), 1e-6))


def _ratio_interval(
    part: NDArray[np.float32], whole: NDArray[np.float32]
) -> tuple[float, float] | None:
    if len(part) < 2:
        return None
    return bootstrap(lambda rows: _ratio(part[rows], whole[rows]), len(part))
