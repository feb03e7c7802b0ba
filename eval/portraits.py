"""What the trials amount to: autoencoder, identity of portraits, attributes obeyed."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.answers import (
    COLOURS,
    Answers,
    Labels,
    accuracy,
    all_as_asked,
    asked,
    mean_accuracy,
    mistakes,
)
from eval.bench import Bench, Image, Sighting
from eval.card import Chapter, Figure, Table
from eval.eyes import are_as_true, openings_of
from eval.metrics import (
    MOST_DB,
    bootstrap,
    copy_paste,
    mean_interval,
    placements,
    psnr,
    ratio,
    ratio_interval,
    share_interval,
)
from eval.trials import Trials

_LEAST_DB, _LEAST_DB_LARGE = 32.0, 31.0  # asked of an autoencoder, the latter from 256² on


def autoencoder_chapter(trials: Trials) -> Chapter:
    """PSNR of reconstructions, and how much of a real picture's identity is left in them."""
    decibels = np.array(
        [
            min(psnr(real, back), MOST_DB)
            for real, back in zip(trials.real, trials.restored, strict=True)
        ]
    )
    least = _LEAST_DB if max(trials.real[0].shape) < 256 else _LEAST_DB_LARGE
    restored, real = trials.likeness(trials.restored_seen), trials.likeness(trials.real_seen)
    itself = np.sum(trials.restored_seen.embeddings * trials.real_seen.embeddings, axis=1)
    figures = (
        Figure(
            key="autoencoder_psnr", title="PSNR of the reconstruction", unit="dB", digits=2,
            value=float(decibels.mean()), bar=least, interval=mean_interval(decibels),
            count=len(trials),
        ),
        Figure(
            key="autoencoder_identity", title="identity left, of another real picture's",
            value=ratio(restored, real), bar=0.95, ceiling=1.0, count=len(trials),
            interval=ratio_interval(restored, real),
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
            value=float(first.mean()), interval=hits, bar=0.95,
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
            value=ratio(drawn, real), bar=0.85, interval=ratio_interval(drawn, real), count=count,
        ),
        Figure(
            key="one_face", title="exactly one face found", unit="share", digits=4, bar=0.99,
            value=float(one_face.mean()), interval=share, count=count,
            ceiling=float((trials.real_seen.counts == 1).mean()),
        ),
        _eyes(trials),
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
    heads = [head for head in bench.judges.attributes.heads if asked(truth, head)]
    scores = {
        name: {head: accuracy(truth, answers, head) for head in heads}
        for name, answers in seen.items()
    }
    means = {name: float(np.mean(list(values.values()))) for name, values in scores.items()}
    worst = min(heads, key=lambda head: scores["drawn"][head])
    interval = bootstrap(
        lambda rows: mean_accuracy(
            [truth[row] for row in rows], [seen["drawn"][row] for row in rows], heads
        ),
        len(trials),
        resamples=200,
    )
    figures = (
        Figure(
            key="attributes_mean", title="mean over attributes", unit="share", bar=0.98,
            value=means["drawn"], interval=interval, ceiling=means["restored"],
            count=len(trials),
            note=f"on real pictures the judge itself is right in {100 * means['real']:.1f} %",
        ),
        Figure(
            key="attributes_least", title=f"least of all: {worst}", unit="share", bar=0.93,
            value=scores["drawn"][worst], ceiling=scores["restored"][worst],
            count=asked(truth, worst),
        ),
        _colours(truth, seen),
    )  # fmt: skip
    rows = tuple(
        (
            head,
            f"{100 * scores['drawn'][head]:.1f} %",
            f"{100 * scores['restored'][head]:.1f} %",
            f"{100 * scores['real'][head]:.1f} %",
            str(asked(truth, head)),
            mistakes(truth, seen["drawn"], head),
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
        ceiling=float(values[1].mean()), count=len(trials), bar=0.998 if same_gender else None,
    )  # fmt: skip


def _eyes(trials: Trials) -> Figure:
    """Portraits of one face whose eyes are open, and even where the real picture's are."""
    true = openings_of(trials.real, trials.real_seen.landmarks)

    def share(images: Sequence[Image], seen: Sighting) -> list[bool]:
        opened = openings_of(images, seen.landmarks)
        return [
            count == 1 and are_as_true(ours, theirs)
            for count, ours, theirs in zip(seen.counts, opened, true, strict=True)
        ]

    whole = share(trials.drawn, trials.drawn_seen)
    restored = share(trials.restored, trials.restored_seen)
    return Figure(
        key="one_face_eyes", title="one face, both eyes open, and even where the truth has them so",
        unit="share", digits=4, bar=0.995, value=float(np.mean(whole)), count=len(whole),
        interval=share_interval(sum(whole), len(whole)),
        ceiling=float(np.mean(share(trials.real, trials.real_seen))),
        note="an eye is open where white shows between its lids, over 3 % of the distance of the "
        "eyes; even: the narrower at least 0.4 of the wider, asked where the real picture has 0.5. "
        f"Of the autoencoder's reconstruction: {100 * np.mean(restored):.1f} %",
    )  # fmt: skip


def _colours(truth: Labels, answers: Mapping[str, Answers]) -> Figure:
    """Portraits in which every colour is where it was asked for."""
    bound = {name: all_as_asked(truth, seen, COLOURS) for name, seen in answers.items()}
    drawn = bound["drawn"]
    return Figure(
        key="colours_bound", title="hair, clothing and background all of their own colour",
        unit="share", digits=3, bar=0.98, value=float(np.mean(drawn)), count=len(drawn),
        interval=share_interval(sum(drawn), len(drawn)), ceiling=float(np.mean(bound["restored"])),
        note="hair where it is seen; a scene counts as the background's colour, and a hat has but "
        f"one. On real pictures the judge is right in {100 * np.mean(bound['real']):.1f} %",
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
