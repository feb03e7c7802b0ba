"""Arms and blocks: who draws what, in which turn, and what a failure costs."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eval.ab.arms import ArmSettings, engine_of, request_of
from eval.ab.cases import CasePictures, Cases, SuiteCase, cases_of
from eval.ab.config import parse_config
from eval.ab.drawing import Studio, blocks_of, draw_block, turn_of
from eval.ab.journal import Header, Journal
from eval.ab.suite import read_suite
from fusion import FusionRequest, InvalidRequest
from models import BundleNotFound


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "s.toml").write_text(
        'title = "x"\n[drawn]\npeople = 5\nseeds = 2\n', encoding="utf-8"
    )
    return cases_of(read_suite("s.toml", folder), 0, 64)


def test_blocks_hold_every_case_once_and_no_person_in_two(cases: Cases) -> None:
    for size in (1, 2, 3, 5, 100):
        blocks = blocks_of(cases, size)
        assert [number for block in blocks for number in block] == list(range(10))
        people = [{cases.unit_of(number) for number in block} for block in blocks]
        assert sum(map(len, people)) == 5


def test_every_arm_is_first_as_often_as_any_other() -> None:
    for count in (2, 3, 4):
        arms = [str(number) for number in range(count)]
        turns = [turn_of(arms, block) for block in range(2 * count)]
        assert all(sorted(turn) == arms for turn in turns)
        assert set(Counter(turn[0] for turn in turns).values()) == {2}


def test_the_words_of_an_arm_are_what_it_says(cases: Cases) -> None:
    case = cases[0]
    optimised = request_of(ArmSettings(), case)
    sentence = request_of(ArmSettings(words="sentence"), case)
    verbatim = request_of(ArmSettings(words="verbatim"), case)
    assert optimised.attributes == dict(case.attributes)
    assert optimised.text is None is optimised.prompt
    assert sentence.text == verbatim.prompt == case.sentence()
    assert sentence.attributes is None
    unsaid = request_of(ArmSettings(leave_out=("age",)), case)
    assert "age" in case.attributes
    assert "age" not in (unsaid.attributes or {})


def test_settings_reach_the_request_and_seeds_are_the_same_in_every_arm(cases: Cases) -> None:
    arm = ArmSettings(steps=4, identity_scale=0.3, scheduler="euler", eta=0.0, mode="fast")
    request = request_of(arm, cases[3])
    assert (request.steps, request.identity_scale, request.mode) == (4, 0.3, "fast")
    assert request_of(ArmSettings(steps="few"), cases[3]).steps == "few"
    assert request.seed == request_of(ArmSettings(), cases[3]).seed
    assert request_of(ArmSettings(seed_offset=5), cases[3]).seed == request.seed + 5


def _studio(text: str) -> Studio:
    return Studio(parse_config(text, "it").config, 8)


def test_what_no_engine_would_draw_is_refused_before_the_first_picture(cases: Cases) -> None:
    studio = _studio("[arms.a]\n[arms.b]\nsteps = 100000\n")
    with pytest.raises(InvalidRequest, match="steps"):
        studio.check(cases[0])
    studio.close()
    with pytest.raises(BundleNotFound):
        _studio("[arms.a]\n[arms.b]\nbundle = 'nowhere'\n")


def test_a_block_is_drawn_in_every_arm_and_never_twice(
    cases: Cases, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The random bundle sees no face in some photos: those cases fail alone, in every arm."""
    studio = _studio(f'bundle = "{tiny_bundle}"\n[arms.a]\nsteps = 2\n[arms.b]\nsteps = 1\n')
    chosen = [cases[number] for number in range(4)]
    with Journal.opened(tmp_path, Header(fingerprint="x", told={})) as journal:
        draw_block(studio, chosen, 0, journal)
        assert set(journal.drawn) == {(number, arm) for number in range(4) for arm in "ab"}
        first = dict(journal.drawn)
        draw_block(studio, chosen, 0, journal)
        assert journal.drawn == first
        for (number, arm), line in first.items():
            assert bool(line.picture) != bool(line.failure)
            if line.picture:
                assert line.costs["evaluations"] > 0
                assert journal.picture((number, arm)) is not None
    studio.close()


def test_making_photos_is_nobodys_time(cases: Cases, tiny_bundle: Path, tmp_path: Path) -> None:
    """Photos drawn while the first arm was at work made it look a third slower than the second."""
    studio = _studio(f'bundle = "{tiny_bundle}"\n[arms.a]\nsteps = 2\n[arms.b]\nsteps = 1\n')
    busy = []

    def watched(case: SuiteCase) -> SuiteCase:
        def pictures() -> CasePictures:
            found = [studio.engine(arm).occupancy for arm in "ab"]
            busy.extend(one.waiting + one.active for one in found)
            return case.make_pictures()

        return replace(case, make_pictures=pictures)

    with Journal.opened(tmp_path, Header(fingerprint="x", told={})) as journal:
        draw_block(studio, [watched(cases[number]) for number in range(4)], 0, journal)
    studio.close()
    assert busy == [0] * 8  # four photos, made once each, while nobody drew


def test_the_same_case_in_two_engines_is_the_same_picture(
    cases: Cases, mini_bundle: Path, tmp_path: Path
) -> None:
    studio = _studio("[arms.a]\nsteps = 3\n[arms.b]\nsteps = 3\ncache = false\n")
    chosen = [cases[number] for number in range(2)]
    with Journal.opened(tmp_path, Header(fingerprint="x", told={})) as journal:
        draw_block(studio, chosen, 0, journal)
        for number in range(2):
            pair = [np.asarray(journal.picture((number, arm)), dtype=int) for arm in "ab"]
            assert np.abs(pair[0] - pair[1]).max() <= 1
            assert journal.drawn[number, "b"].costs["positions_reused"] == 0
    studio.close()


def test_an_arm_has_its_memory_mode_and_its_lora(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "style.safetensors"
    layer = "unet.conv_in"
    save_file(
        {
            f"{layer}.lora_A.weight": torch.ones(1, 4, 3, 3),
            f"{layer}.lora_B.weight": torch.ones(16, 1, 1, 1),
        },
        file,
    )
    arm = ArmSettings(memory="low", lora={str(file): 0.5})
    with engine_of(arm, str(tiny_bundle), 1) as engine:
        (applied,) = [one for one in engine.adapters if not one.is_identity]
        result = engine.fuse(FusionRequest(steps=1))
    assert applied.scale == 0.5
    assert any("memory low" in said for said in result.trace.decisions)
