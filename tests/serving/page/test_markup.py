"""What is shown is escaped, and says what the API said."""

import pytest

from fusion import Stage
from serving.errors import ErrorBody
from serving.page.client import ApiProblem, Preview, StageBegun, StepDone
from serving.page.markup import easel
from serving.page.markup.account import account
from serving.page.markup.easel import Progress
from serving.page.markup.people import caption, numbered_faces, shares_bar
from serving.page.markup.plan import plan, refused_plan
from serving.page.painting import followed
from serving.page.words import LANGUAGES, Language, words
from serving.wire import (
    DecisionAnswer,
    PictureAnswer,
    PortraitAnswer,
    PromptAnswer,
    SimilarityAnswer,
    TraceEntry,
    UsageAnswer,
)

EVIL = '<img src=x onerror="alert(1)">'


def prompt_of(text: str) -> PromptAnswer:
    """A plan in which the text is everywhere."""
    decision = DecisionAnswer(
        attribute="exclude", text=text, fate="dropped", said=text, tokens=2, reason=text
    )
    return PromptAnswer(
        prompt=f"{text}, hat", negative_prompt=text, tokens=9, baseline_tokens=30, kept=(text,),
        dropped=(text,), removed=(), decisions=(decision,),
    )  # fmt: skip


def portrait_of(text: str) -> PortraitAnswer:
    """A finished portrait of two people in whose words the text is."""
    likenesses = (
        SimilarityAnswer(name=text, weight=0.7, cosine=0.62),
        SimilarityAnswer(name=text, weight=0.3, cosine=0.21),
    )
    picture = PictureAnswer(
        media_type="image/png", width=128, height=128, seed=5, identity_scale=1.0, attempts=2,
        verified=True, face_found=True, wished_cosine=0.7, similarity=likenesses, b64_json=None,
    )  # fmt: skip
    usage = UsageAnswer(
        images=1, attempts=2, steps=20, tokens=9, baseline_tokens=30, positions_computed=77,
        positions_reused=154, projections_computed=4, projections_reused=2,
        denoiser_evaluations=40, shallow_evaluations=0, denoiser_seconds=0.3, faces_analysed=1,
        faces_reused=1, seconds=0.41, seconds_by_stage={}, peak_memory_bytes=600 << 20,
        peak_device_bytes=0,
    )  # fmt: skip
    entry = TraceEntry(
        stage=Stage.DENOISE, seconds=0.3, memory_delta_bytes=0, decisions=(), downgrades=()
    )
    return PortraitAnswer(
        id="p", status="completed", created=1, model="mini", tries=1, images=(picture,),
        prompt=prompt_of(text), decisions=(text,), downgrades=(text,), warnings=(text,),
        usage=usage, trace=(entry,),
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_others_becomes_markup(language: Language) -> None:
    said = words(language)
    problem = ApiProblem(ErrorBody(message=EVIL, type=EVIL, code=EVIL))
    shown = [
        plan(said, prompt_of(EVIL)),
        account(said, portrait_of(EVIL), 0, (1, 3)),
        easel.failed(said, problem),
        refused_plan(said, problem),
        easel.at_work(said, Progress(stage=EVIL)),
    ]
    for markup in shown:
        assert "<img src=x" not in markup


def test_the_account_tells_likeness_seed_and_cost() -> None:
    told = account(words("en"), portrait_of("x"), 0, (1, 3))
    for expected in (
        "seed 5", "attempt 2", 'data-cosine="0.620"', 'data-cosine="0.210"', "p3",
        "instead of 30", "154 more reused", "600 MiB", "Painting",
    ):  # fmt: skip
        assert expected in told


def test_the_plan_tells_what_was_saved_and_lost() -> None:
    told = plan(words("en"), prompt_of("dragon"))
    assert 'data-tokens="9"' in told
    assert "70 % saved" in told
    assert "dropped" in told


def test_an_unknown_error_still_says_what_the_server_said() -> None:
    problem = ApiProblem(ErrorBody(message="the moon is full", type="t", code="new_code"))
    assert "the moon is full" in easel.failed(words("zh"), problem)
    assert words("zh")("error.unknown") in easel.failed(words("zh"), problem)


def test_a_portrait_comes_along() -> None:
    progress = followed(Progress(), StageBegun("analyse", 1))
    assert 0 < progress.share < 0.14
    progress = followed(progress, StageBegun("denoise", 1))
    shares = []
    for step in range(1, 21):
        progress = followed(progress, StepDone(step, 20, 1))
        shares.append(progress.share)
    assert shares == sorted(shares)
    progress = followed(progress, Preview(20, 20, b"\xff\xd8\xff"))
    shown = easel.at_work(words("en"), progress)
    assert "step 20 of 20" in shown
    assert "data:image/jpeg;base64," in shown
    again = followed(progress, StageBegun("denoise", 2))
    assert "attempt 2" in easel.at_work(words("en"), again)


def test_people_are_told_apart() -> None:
    assert "70 %" in caption(words("en"), 2, 70)
    assert "%" not in caption(words("en"), 2, None)
    assert shares_bar(words("en"), [70, None, 30]).count("<span") == 2
    assert shares_bar(words("en"), [100]) == ""
    assert "No photo" in shares_bar(words("en"), [None])
    boxes = [(1, 2, 30, 40), (50, 2, 80, 40)]
    assert numbered_faces(b"", (100, 60), boxes).count("<rect") == 2
