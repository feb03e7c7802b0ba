"""Portraits drawn from wordy sentences and from what the optimiser makes of them, and judged."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.judges import open_judges
from eval.metrics import balanced_accuracy, bootstrap
from eval.people import balanced_wishes, held_out_people, snapshot
from fusion import Engine, FusionRequest, Identity
from models import open_bundle
from prompting import Tokenizer, count_tokens, optimize
from world import LABELS, wordy_sentence

SEATS = 75
FIRST_PERSON = 90_000  # of the held-out seeds: nobody the card is measured on
ARMS = ("wordy", "optimised")
Figures = dict[str, float | int | str]
Indices = NDArray[np.integer]


def obedience(count: int, tokenizer: Tokenizer, console: Console) -> Figures:
    """Wordy against optimised on the mini bundle: balanced accuracies and their difference.

    The same people, photos, wishes and seeds; intervals are a paired bootstrap over people.
    """
    people = held_out_people(count, FIRST_PERSON)
    wishes = balanced_wishes(people, FIRST_PERSON)
    rng = np.random.default_rng(FIRST_PERSON)
    photos = [snapshot(person, rng) for person in people]
    wordy = [
        wordy_sentence(dict(wish.attributes), np.random.default_rng([FIRST_PERSON, index]))
        for index, wish in enumerate(wishes)
    ]
    # Without the lexicon's own negative prompt: only the wording may differ.
    plans = [optimize(text=text, tokenizer=tokenizer, budget=SEATS, negative="") for text in wordy]
    said: dict[str, list[tuple[str, str | None]]] = {
        "wordy": [(text, None) for text in wordy],
        "optimised": [(plan.prompt, plan.negative_prompt or None) for plan in plans],
    }
    engine, judge = Engine.load("mini"), open_judges(open_bundle("mini")).attributes
    seen = {}
    for arm in ARMS:
        drawn = [
            _draw(engine, Identity(image=photo.image), *prompts, seed)
            for seed, (photo, prompts) in enumerate(zip(photos, said[arm], strict=True))
        ]
        seen[arm] = judge.judge(drawn)
    truth = [wish.labels for wish in wishes]
    figures: Figures = {"people": count}
    for arm in ARMS:
        tokens = [count_tokens(prompt, tokenizer) for prompt, _ in said[arm]]
        figures[f"{arm}_tokens_mean"] = mean(tokens)
        figures[f"{arm}_over_{SEATS}_tokens"] = sum(n > SEATS for n in tokens)
    figures |= _compared(truth, seen, console)
    figures |= {"example_wordy": wordy[0], "example_optimised": plans[0].prompt}
    return figures


def _draw(
    engine: Engine, identity: Identity, prompt: str, negative_prompt: str | None, seed: int
) -> NDArray[np.uint8]:
    request = FusionRequest(
        identities=(identity,),
        prompt=prompt,
        negative_prompt=negative_prompt,
        steps=None,
        seed=seed,
        verify=False,
    )
    return np.asarray(engine.fuse(request).images[0].convert("RGB"), dtype=np.uint8)


def _compared(
    truth: Sequence[Mapping[str, str | None]],
    seen: Mapping[str, Sequence[Mapping[str, str]]],
    console: Console,
) -> Figures:
    """Prints each attribute, and their mean, under both prompts."""

    def one(head: str) -> Callable[[str, Indices], float]:
        return lambda arm, chosen: _accuracy(truth, seen[arm], head, chosen)

    def overall(arm: str, chosen: Indices) -> float:
        return float(np.mean([one(head)(arm, chosen) for head in LABELS]))

    count, everyone = len(truth), np.arange(len(truth))
    figures: Figures = {}
    table = Table(title=f"Attributes obeyed, {count} people", title_justify="left")
    for heading in ("attribute", *ARMS, "difference", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for head, measured in {**{head: one(head) for head in LABELS}, "mean": overall}.items():
        before, after = measured("wordy", everyone), measured("optimised", everyone)
        low, high = bootstrap(
            lambda chosen, m=measured: m("optimised", chosen) - m("wordy", chosen),
            count,
            resamples=1000,
        )
        table.add_row(
            head,
            f"{before:.1%}",
            f"{after:.1%}",
            f"{100 * (after - before):+.1f}",
            f"{100 * low:+.1f} – {100 * high:+.1f}",
        )
        figures |= {f"wordy_{head}": before, f"optimised_{head}": after}
        figures |= {f"difference_{head}_low": low, f"difference_{head}_high": high}
    console.print(table)
    return figures


def _accuracy(
    truth: Sequence[Mapping[str, str | None]],
    seen: Sequence[Mapping[str, str]],
    head: str,
    chosen: Indices,
) -> float:
    """Balanced accuracy of one head over the chosen people; raises ValueError if none shows it."""
    classes = LABELS[head]
    shown = [int(index) for index in chosen if truth[index][head] is not None]
    return balanced_accuracy(
        np.array([classes.index(str(truth[index][head])) for index in shown], dtype=np.int64),
        np.array([classes.index(seen[index][head]) for index in shown], dtype=np.int64),
    )
