"""The claims: wordy prompts are said in half the tokens and lose nothing; portraits obey as well.

First part: the corpus of tests/prompting under CLIP's own vocabulary and under the mini bundle's.
The rivals see the same texts: the prompt as written, what CLIP silently keeps of it (75 tokens),
and a remover of stop words (which CLIP then cuts as well).
Second part, --portraits N people: the mini bundle draws each wish from a wordy sentence and from
what the optimiser makes of that sentence, with the same seed; the bundle's judges look at both.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

os.environ.setdefault("HF_HUB_OFFLINE", "1")

# The corpus and its reader live with the tests.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np
from _clip import clip_tokenizer
from _record import record
from rich.console import Console
from rich.table import Table

from prompting import PromptPlan, Tokenizer, count_tokens, optimize
from tests.prompting.corpus import Entry, backfiring, corpus, found, invented, missing, unrefused

ROOT = Path(__file__).resolve().parent.parent
SEATS = 75  # what CLIP reads of a prompt: 77 positions less the start and end marks
UNLIMITED = 10_000
EXAMPLES = 10

# What carries no picture: function words and requests; words that refuse ("no", "不") stay.
STOP_WORDS = (
    "a an the this that these those i me my we us our you your he him his she her hers it its they "
    "them their is am are was were be been being has have had having do does did of on at by for "
    "to into from as so and or but if then than too very really just also there here which who "
    "whom whose what when where how can could would should will shall may might must please hi "
    "hello want like love need make create generate draw show get give let some any about "
    "always usually normally only kind sort one ones i'm i'd he's she's it's we're "
    "image picture"
)
STOP_WORDS_CHINESE = (
    "请帮我", "帮我", "请", "麻烦", "你好", "能不能", "我想要", "想要", "生成", "谢谢",
    "一个", "一位", "一名", "一张", "一幅", "一件", "一副", "一把", "一只", "一颗", "一道",
    "左右", "大约", "今年", "我们", "我", "她", "他", "是", "在", "有",
    "的", "了", "着", "地", "得",
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One prompt of the corpus under one tokenizer."""

    entry: Entry
    written: int  # tokens
    plan: PromptPlan
    saved: float
    saved_with_refusals: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portraits", type=int, default=60, help="people drawn; 0: no pictures")
    portraits = parser.parse_args().portraits
    figures: dict[str, float | int | str] = {}
    for name, tokenizer in (("clip", clip_tokenizer()), ("mini", mini_tokenizer())):
        figures |= lengths(name, tokenizer)
    record("prompts", figures)
    if portraits:
        from _obedience import obedience

        figures = obedience(portraits, mini_tokenizer(), _console())
        record("prompts_portraits", figures)


def mini_tokenizer() -> Tokenizer:
    """The tokenizer of the bundle that ships."""
    from transformers import CLIPTokenizer

    directory = ROOT / "models" / "bundles" / "mini" / "pipeline" / "tokenizer"
    return CLIPTokenizer.from_pretrained(directory, local_files_only=True)


# ------------------------------------------------------------------------------------- the corpus


def lengths(name: str, tokenizer: Tokenizer) -> dict[str, float | int | str]:
    """Prints the tables of one tokenizer; gives its figures, each called NAME_..."""
    readings = [_read(entry, tokenizer) for entry in corpus()]
    _print_saved(name, readings)
    rivals = {
        "as written": lambda text: text,
        "silently cut": lambda text: cut(text, tokenizer),
        "stop words removed": lambda text: cut(without_stop_words(text), tokenizer),
    }
    figures = _saved_figures(name, readings)
    figures |= _print_rivals(name, readings, rivals, tokenizer)
    ranked = sorted(readings, key=lambda reading: reading.saved, reverse=True)
    _print_examples(f"{name}: the {EXAMPLES} most shortened", ranked[:EXAMPLES])
    _print_examples(f"{name}: the {EXAMPLES} least shortened", ranked[-EXAMPLES:])
    return figures


def cut(text: str, tokenizer: Tokenizer) -> str:
    """The longest beginning of a text that CLIP reads."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if count_tokens(text[:middle], tokenizer) <= SEATS else (low, middle - 1)
        )
    return text[:low]


def without_stop_words(text: str) -> str:
    """The text without the words that carry no picture; commas stay where they were."""
    stop_words = frozenset(STOP_WORDS.split())
    for word in STOP_WORDS_CHINESE:
        text = text.replace(word, "")
    kept = [word for word in text.split() if word.lower().strip(",.!?:;()") not in stop_words]
    return re.sub(r"[!?]", "", " ".join(kept))


def _read(entry: Entry, tokenizer: Tokenizer) -> Reading:
    plan = optimize(text=entry.text, tokenizer=tokenizer, budget=SEATS)
    written = count_tokens(entry.text, tokenizer)
    refusals = optimize(text=entry.text, tokenizer=tokenizer, negative="").negative_prompt
    negative = count_tokens(refusals, tokenizer)
    return Reading(
        entry, written, plan, 1 - plan.tokens / written, 1 - (plan.tokens + negative) / written
    )


def _by_language(readings: Sequence[Reading]) -> dict[str, list[Reading]]:
    groups = {"all": list(readings)}
    for reading in readings:
        groups.setdefault(reading.entry.language, []).append(reading)
    return groups


def _in_total(readings: Sequence[Reading]) -> float:
    return 1 - sum(r.plan.tokens for r in readings) / sum(r.written for r in readings)


def _saved_figures(name: str, readings: Sequence[Reading]) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {}
    for language, group in _by_language(readings).items():
        said = f"{name}_{language}"
        figures[f"{said}_prompts"] = len(group)
        figures[f"{said}_tokens_written_mean"] = mean(r.written for r in group)
        figures[f"{said}_tokens_optimised_mean"] = mean(r.plan.tokens for r in group)
        figures[f"{said}_saved_mean"] = mean(r.saved for r in group)
        figures[f"{said}_saved_with_refusals_mean"] = mean(r.saved_with_refusals for r in group)
        figures[f"{said}_saved_in_total"] = _in_total(group)
        for percent in (10, 50, 90):
            quantile = np.quantile([r.saved for r in group], percent / 100)
            figures[f"{said}_saved_p{percent}"] = float(quantile)
    return figures


def _print_saved(name: str, readings: Sequence[Reading]) -> None:
    table = Table(title=f"{name}: tokens and the share saved", title_justify="left")
    for heading in ("language", "prompts", "written", "optimised", "saved: mean", "in total"):
        table.add_column(heading, justify="right")
    for heading in ("least", "p10", "p50", "p90", "most", "with refusals"):
        table.add_column(heading, justify="right")
    for language, group in _by_language(readings).items():
        shares = [reading.saved for reading in group]
        quantiles = np.quantile(shares, [0, 0.1, 0.5, 0.9, 1])
        table.add_row(
            language,
            str(len(group)),
            f"{mean(r.written for r in group):.1f}",
            f"{mean(r.plan.tokens for r in group):.1f}",
            f"{mean(shares):.1%}",
            f"{_in_total(group):.1%}",
            *(f"{quantile:.0%}" for quantile in quantiles),
            f"{mean(r.saved_with_refusals for r in group):.1%}",
        )
    _console().print(table)


def _print_rivals(
    name: str,
    readings: Sequence[Reading],
    rivals: Mapping[str, Callable[[str], str]],
    tokenizer: Tokenizer,
) -> dict[str, float | int | str]:
    """What each way of shortening loses of all that the corpus asks for."""
    asked = sum(len(_things(r.entry)) for r in readings)
    refused = sum(len(r.entry.refused) for r in readings)
    table = Table(title=f"{name}: {asked} things asked for, {refused} refused; and what is lost")
    for heading in ("prompt", "tokens", "lost", "prompts hurt", "refused is asked for", "invented"):
        table.add_column(heading, justify="left" if heading == "prompt" else "right")
    figures: dict[str, float | int | str] = {
        f"{name}_things_asked": asked,
        f"{name}_things_refused": refused,
    }

    def add(rival: str, tokens: float, lost: list[int], backfired: int, made_up: str) -> None:
        hurt = sum(count > 0 for count in lost)
        table.add_row(
            rival, f"{tokens:.1f}", str(sum(lost)), str(hurt), str(backfired), str(made_up)
        )
        key = f"{name}_{re.sub('[^a-z]+', '_', rival).strip('_')}"
        figures[f"{key}_tokens_mean"] = tokens
        figures[f"{key}_lost"] = sum(lost)
        figures[f"{key}_prompts_hurt"] = hurt
        figures[f"{key}_refused_is_asked_for"] = backfired

    for rival, shorten in rivals.items():
        texts = {r.entry.id: shorten(r.entry.text) for r in readings}
        add(
            rival,
            mean(count_tokens(text, tokenizer) for text in texts.values()),
            [_lost_by(r.entry, texts[r.entry.id]) for r in readings],
            sum(_asked_after_all(r.entry, texts[r.entry.id]) for r in readings),
            "",
        )
    made_up = sum(len(invented(r.entry, r.plan.prompt)) for r in readings)
    add(
        "optimised",
        mean(r.plan.tokens for r in readings),
        [len(missing(r.entry, r.plan.prompt)) for r in readings],
        sum(len(backfiring(r.entry, r.plan.prompt)) for r in readings),
        str(made_up),
    )
    figures[f"{name}_optimised_invented"] = made_up
    figures[f"{name}_optimised_prompts_with_chinese_left"] = sum(
        bool(re.search("[一-鿿]", r.plan.prompt)) for r in readings
    )
    figures[f"{name}_optimised_not_refused"] = sum(
        len(unrefused(r.entry, r.plan.negative_prompt)) for r in readings
    )
    _console().print(table)
    return figures


def _things(entry: Entry) -> set[str]:
    """Names of all that must be findable in the prompt; what an empty prompt misses."""
    return set(missing(entry, ""))


def _lost_by(entry: Entry, text: str) -> int:
    """How many things a shortened text no longer says, neither as it stands nor as it is read.

    To be fair to the rivals, what the optimiser cannot read in the whole text is not held
    against them: it counts where the optimiser loses it.
    """
    if text == entry.text:
        return 0
    whole = set(missing(entry, _read_at_length(entry.text)))
    here = set(missing(entry, text)) & set(missing(entry, _read_at_length(text)))
    return len(here - whole)


@cache
def _read_at_length(text: str) -> str:
    """What the optimiser reads in a text, whatever its length."""
    return optimize(text=text, budget=UNLIMITED).prompt if text.strip() else ""


def _asked_after_all(entry: Entry, text: str) -> int:
    """Refusals that stand in the prompt, where a text encoder sees only the thing refused.

    A Chinese refusal is found by what the optimiser reads of it: it says what is refused.
    """
    if entry.language == "en":
        return len(backfiring(entry, text))
    read = optimize(text=text, budget=UNLIMITED).negative_prompt if text.strip() else ""
    return sum(found(group, read) or found(group, text) for group in entry.refused)


def _print_examples(title: str, readings: Sequence[Reading]) -> None:
    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column("saved", justify="right")
    table.add_column("written", ratio=3, overflow="fold")
    table.add_column("optimised", ratio=2, overflow="fold")
    for reading in readings:
        said = reading.plan.prompt
        if reading.plan.negative_prompt:
            said += f"\n— not: {reading.plan.negative_prompt}"
        counts = f"{reading.saved:.0%}\n{reading.written}→{reading.plan.tokens}"
        table.add_row(counts, _plain(reading.entry.text), _plain(said))
    _console().print(table)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")  # rich reads square brackets as markup


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 140)


if __name__ == "__main__":
    main()
