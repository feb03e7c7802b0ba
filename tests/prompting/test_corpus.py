"""Wordy prompts as people write them: everything asked for is said, in far fewer tokens."""

from collections.abc import Callable
from statistics import mean

import pytest

from prompting import PromptPlan, Tokenizer, count_tokens, optimize
from tests.prompting.corpus import Entry, backfiring, corpus, invented, missing, unrefused

CORPUS = corpus()
# A person who writes down nothing but what was asked for saves 46 per cent in English, and 84 in
# Chinese, whose letters cost CLIP two or three tokens each.
# English alone saves less: more of it must be said as it stands.
LEAST_SAVED = {"all": 0.45, "en": 0.30, "zh": 0.45}


def _plan(entry: Entry, tokenizer: Tokenizer) -> PromptPlan:
    return optimize(text=entry.text, tokenizer=tokenizer, budget=75)


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.id)
def test_everything_asked_for_is_said(entry: Entry, clip_tokenizer: Tokenizer) -> None:
    plan = _plan(entry, clip_tokenizer)
    assert plan.tokens == count_tokens(plan.prompt, clip_tokenizer) <= 75
    found_wrong = {
        "missing": missing(entry, plan.prompt),
        "not refused": unrefused(entry, plan.negative_prompt),
        "refused, yet asked for": backfiring(entry, plan.prompt),
        "invented": invented(entry, plan.prompt),
        "dropped": list(plan.dropped),
    }
    assert not any(found_wrong.values()), f"{found_wrong} in {plan.prompt!r} for {entry.text!r}"


@pytest.mark.parametrize("language", LEAST_SAVED)
def test_the_corpus_is_said_in_45_per_cent_fewer_tokens_on_average(
    language: str, clip_tokenizer: Tokenizer, record_property: Callable[[str, object], None]
) -> None:
    chosen = [entry for entry in CORPUS if language in ("all", entry.language)]
    written = [count_tokens(entry.text, clip_tokenizer) for entry in chosen]
    said = [_plan(entry, clip_tokenizer).tokens for entry in chosen]
    saved = mean(1 - after / before for after, before in zip(said, written, strict=True))
    saved_in_total = 1 - sum(said) / sum(written)
    record_property("saved_mean", saved)
    record_property("saved_in_total", saved_in_total)
    figures = f"{language}: {saved:.1%} saved on average, {saved_in_total:.1%} of all tokens"
    print(figures)
    assert min(saved, saved_in_total) >= LEAST_SAVED[language], figures


def test_the_corpus_is_what_it_claims_to_be(clip_tokenizer: Tokenizer) -> None:
    """Enough prompts in both languages, told apart, each asking for something once."""
    assert len(CORPUS) >= 80
    assert len({entry.id for entry in CORPUS}) == len({entry.text for entry in CORPUS})
    assert len({entry.id for entry in CORPUS}) == len(CORPUS)
    assert sum(entry.language == "en" for entry in CORPUS) >= 50
    assert sum(entry.language == "zh" for entry in CORPUS) >= 30
    assert all(len(entry.groups()) + len(entry.refused) >= 3 for entry in CORPUS)


class TestTheReader:
    """The checks above see what they should; the prompts are right and wrong on purpose."""

    entry = next(entry for entry in CORPUS if entry.id == "linkedin-man-in-his-forties")
    right = (
        "headshot of a smiling man, 40s, trimmed beard, short brown hair, navy suit, white shirt, "
        "light gray background"
    )

    def test_a_good_prompt_passes(self) -> None:
        assert missing(self.entry, self.right) == invented(self.entry, self.right) == []
        assert unrefused(self.entry, "necktie") == backfiring(self.entry, self.right) == []

    @pytest.mark.parametrize(
        ("said", "instead", "lost"),
        [
            ("navy suit, white shirt", "white suit, navy shirt", {"clothing", "white shirt"}),
            ("short brown hair", "brown hair", {"hair_length"}),
            ("short brown hair", "short hair, brown beard", {"hair"}),
            ("40s", "age 38", {"age"}),
            ("man", "person", {"gender"}),
            ("smiling ", "", {"expression"}),
            ("light gray", "gray", {"background"}),
        ],
    )
    def test_what_is_changed_is_missed(self, said: str, instead: str, lost: set[str]) -> None:
        names = missing(self.entry, self.right.replace(said, instead))
        assert {name.split(":")[0] for name in names} == lost

    @pytest.mark.parametrize("age", ["40s", "age 45", "40-49", "aged 40 to 45", "in his forties"])
    def test_an_age_has_many_wordings(self, age: str) -> None:
        assert missing(self.entry, self.right.replace("40s", age)) == []

    @pytest.mark.parametrize("more", ["glasses", "green eyes", "facing left", "dramatic"])
    def test_what_nobody_asked_for_is_told(self, more: str) -> None:
        assert invented(self.entry, f"{self.right}, {more}")

    def test_a_refusal_in_the_prompt_backfires(self) -> None:
        assert backfiring(self.entry, f"{self.right}, no tie")
        assert unrefused(self.entry, "")
