"""The sample sheets of a card: what the figures look like, the worst pictures among them."""

from pathlib import Path

import numpy as np
from PIL import Image

from eval.bench import Bench
from eval.card import Sample
from eval.insertions import Insertion
from eval.mixtures import WEIGHTS, Mixture
from eval.people import balanced_wishes, held_out_people, snapshot, wish, words_of
from eval.sheets import Section, Tile, sheet
from eval.trials import Trials, draw
from world import HELD_OUT, sample_look

_FIRST = 130_000  # held-out seed of the first person on the sheet of words
_COLUMNS = 8  # pictures in a row of a sheet of trials


def words_sheet(bench: Bench, directory: Path) -> Sample:
    """One person under different words, and different people under the same words."""
    people, words = bench.extent.sheet_people, bench.extent.sheet_words
    cast = held_out_people(people + words, _FIRST)
    rng = np.random.default_rng([HELD_OUT, _FIRST])
    tasks = bench.track(range(people * words + words), "sample sheets")
    rows = []
    for person in cast[:people]:
        photo = snapshot(person, rng)
        row = [Tile(photo.image, "the photo", tone="source")]
        # One stratified draw for all columns, so that a row differs as widely as it can.
        for column in balanced_wishes([person] * words, person.seed):
            seed = next(tasks)
            row.append(Tile(draw(bench, photo, column, seed), words_of(column.attributes)))
        rows.append(row)
    sources, drawn = [], []
    look = sample_look(
        rng, cast[people], age=30, expression="smiling", glasses=True, hat=False, beard=False,
        background="park", clothing="red", light="front", view="front", hair=None, earrings=False,
    )  # fmt: skip
    for person in cast[people:]:
        photo = snapshot(person, rng)
        same = wish(person, look)
        sources.append(Tile(photo.image, tone="source"))
        drawn.append(Tile(draw(bench, photo, same, next(tasks)), tone="result"))
    page = sheet(
        f"Portraits by the bundle “{bench.bundle.name}”",
        [
            Section("The same person, other words", rows),
            Section(
                "Other people, the same words",
                [sources, drawn],
                row_labels=("the photo", words_of(look_words(look.age))),
            ),
        ],
        subtitle="Held-out people: no model has seen them in training",
    )
    return _save(page, directory, "words.png", "The same person, other words, and the reverse")


def look_words(age: int) -> dict[str, str | int | bool]:
    """The words of the second section, as they stand beside it."""
    return {
        "age": age, "expression": "smiling", "glasses": True, "background": "park",
        "clothing": "red",
    }  # fmt: skip


def trials_sheet(trials: Trials, directory: Path) -> Sample:
    """Photo, the real picture of the wish, the portrait: the first ones and the least alike."""
    likeness = trials.likeness(trials.drawn_seen)
    worst = [int(index) for index in np.argsort(likeness)[:_COLUMNS]]
    sections = [_trials_section(trials, list(range(min(_COLUMNS, len(trials)))), "As they came")]
    if len(trials) > _COLUMNS:
        title = f"The least like their photos, of all {len(trials)}"
        sections.append(_trials_section(trials, worst, title))
    page = sheet(
        "Portrait against source",
        sections,
        subtitle="The numbers are the judge's cosines with the photo.",
        tile=144,
    )
    return _save(page, directory, "portraits.png", "Photo, wish and portrait; the worst ones too")


def autoencoder_sheet(trials: Trials, directory: Path) -> Sample:
    """Real pictures and what the autoencoder leaves of them."""
    shown = range(min(_COLUMNS, len(trials)))
    rows = [[Tile(pictures[i]) for i in shown] for pictures in (trials.real, trials.restored)]
    page = sheet(
        "Autoencoder",
        [Section(rows=rows, row_labels=("the original", "there and back"))],
        tile=144,
    )
    return _save(page, directory, "autoencoder.png", "Originals and their reconstructions")


def mixtures_sheet(mixtures: list[Mixture], directory: Path) -> Sample:
    """A row per pair: one person, the portraits by weight, the other person."""
    rows = [
        [
            Tile(mixture.second.image, "second person", tone="source"),
            *(
                Tile(image, detail=f"first {first:.2f}, second {second:.2f}", tone="result")
                for image, first, second in zip(
                    mixture.drawn, mixture.to_first, mixture.to_second, strict=True
                )
            ),
            Tile(mixture.first.image, "first person", tone="source"),
        ]
        for mixture in mixtures[:5]
    ]
    shares = [f"{100 * weight:.0f} : {100 * (1 - weight):.0f}" for weight in WEIGHTS]
    page = sheet(
        "Two people by weight",
        [Section(rows=rows, columns=("", *shares, ""))],
        subtitle="First : second. The same words and seed in a row; the numbers are the judge's "
        "cosines with each.",
    )
    return _save(page, directory, "mixtures.png", "Two people by weight")


def insertions_sheet(insertions: list[Insertion], directory: Path) -> Sample:
    """A column per fusion: source, target, result, and the renderer's perfect answer."""
    shown = insertions[:_COLUMNS]
    rows = [
        [Tile(item.source.image, tone="source") for item in shown],
        [Tile(item.target.image, tone="target") for item in shown],
        [
            Tile(
                item.drawn, tone="result",
                detail=f"source {item.to_source:.2f}\ntarget's own {item.to_owner:.2f}",
            )
            for item in shown
        ],
        [Tile(item.perfect) for item in shown],
    ]  # fmt: skip
    labels = ("the source", "the target", "the fusion", "the perfect answer, by the renderer")
    page = sheet(
        "Fusion into a target", [Section(rows=rows, row_labels=labels)],
        subtitle="The numbers are the judge's cosines with other photos of the two people.",
        tile=144,
    )  # fmt: skip
    return _save(page, directory, "targets.png", "Fusion into a target")


def _trials_section(trials: Trials, shown: list[int], title: str) -> Section:
    likeness = trials.likeness(trials.drawn_seen)
    ceiling = trials.likeness(trials.real_seen)
    rows = [
        [Tile(trials.sources[i].image, tone="source") for i in shown],
        [Tile(trials.real[i], detail=f"{ceiling[i]:.2f}") for i in shown],
        [
            Tile(
                trials.drawn[i], words_of(trials.wishes[i].attributes),
                f"{likeness[i]:.2f}", tone="result",
            )
            for i in shown
        ],
    ]  # fmt: skip
    labels = ("the photo", "the wished look, as the renderer draws it", "the portrait")
    return Section(title, rows, row_labels=labels)


def _save(page: Image.Image, directory: Path, file: str, title: str) -> Sample:
    directory.mkdir(parents=True, exist_ok=True)
    page.save(directory / file, optimize=True)
    return Sample(file=file, title=title)
