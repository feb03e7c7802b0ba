"""Single stages: blending, words, tracing, task, sampler rows, denoiser."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion import FusionTask, InvalidWeights, Reference, Role, Stage, TaskState
from fusion.denoiser import RowDenoiser, identity_processors
from fusion.resolved import Words
from fusion.sampler import Row, start_row
from fusion.stages.blend import blend
from fusion.stages.decode import to_image, to_pixels
from fusion.stages.prompt import write_prompt
from fusion.stages.verify import cosine
from fusion.trace import Notes, TraceRecorder
from models import PipelineUnsupported
from prompting import Attributes, PromptTooLong
from tests.fusion.conftest import conditioning_of, painting, unit
from tests.tiny import tiny_tokenizer

CPU = torch.device("cpu")


class TestBlend:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0.01, 10), min_size=2, max_size=8))
    def test_is_of_unit_length_and_in_any_order_the_same(self, weights: list[float]) -> None:
        people = [unit(seed) for seed in range(len(weights))]
        forth = blend(people, weights).embedding
        back = blend(people[::-1], weights[::-1]).embedding
        assert np.linalg.norm(forth) == pytest.approx(1, abs=1e-5)
        assert forth == pytest.approx(back, abs=1e-6)

    @settings(max_examples=30, deadline=None)
    @given(st.floats(0.5, 0.99))
    def test_more_weight_is_more_alike(self, weight: float) -> None:
        first, second = unit(1), unit(2)
        mixed = blend([first, second], [weight, 1 - weight]).embedding
        assert cosine(mixed, first) >= cosine(mixed, second) - 1e-6

    def test_a_person_alone_stays_bit_for_bit(self) -> None:
        assert np.array_equal(blend([unit(1)], [1.0]).embedding, unit(1))
        assert np.array_equal(blend([unit(1), unit(2)], [1.0, 0.0]).embedding, unit(1))

    def test_people_who_cancel_each_other_out_are_refused(self) -> None:
        with pytest.raises(InvalidWeights, match="cancel"):
            blend([unit(1), -unit(1)], [0.5, 0.5])


class TestPrompt:
    def words(self, prompt: str | None = None, text: str = "", **attributes: object) -> Words:
        return Words(Attributes(**attributes), text, prompt or "", prompt is not None, "", False)

    def test_a_prompt_given_is_used_as_it_is(self) -> None:
        notes = Notes()
        words = self.words("  A  strange PROMPT ", age=30)
        plan = write_prompt(words, tiny_tokenizer(), 77, notes)
        assert plan.prompt == "  A  strange PROMPT "
        assert any("not said" in text for text in notes.decisions)

    def test_attributes_become_the_shortest_prompt(self) -> None:
        plan = write_prompt(self.words(age=35, hat=True), tiny_tokenizer(), 77, Notes())
        assert plan.prompt == "person portrait, hat, age 35"
        assert plan.tokens < plan.baseline_tokens

    def test_a_text_that_attributes_overrule_is_told_and_counted_as_it_was_written(self) -> None:
        """The command line planned the text, and what it dropped and the baseline were lost."""
        notes = Notes()
        words = self.words(text="a sad man with a hat", expression="smiling")
        plan = write_prompt(words, tiny_tokenizer(), 77, notes)
        assert plan.prompt == "man portrait, hat, smiling"
        assert plan.dropped == ("sad",)
        assert plan.tokens < plan.baseline_tokens
        assert any("sad" in text and "overruled" in text for text in notes.downgrades)

    def test_what_a_text_excludes_gives_way_to_a_negative_prompt_given(self) -> None:
        words = self.words(text="a man without glasses")
        assert "glasses" in write_prompt(words, tiny_tokenizer(), 77, Notes()).negative_prompt
        words = dataclasses.replace(words, negative_prompt="hat", negative_given=True)
        assert write_prompt(words, tiny_tokenizer(), 77, Notes()).negative_prompt == "hat"

    def test_a_prompt_is_never_cut_in_silence(self) -> None:
        with pytest.raises(PromptTooLong):
            write_prompt(self.words("hat " * 76), tiny_tokenizer(), 77, Notes())
        fits = write_prompt(self.words("hat " * 75), tiny_tokenizer(), 77, Notes())
        assert fits.tokens == 75

    def test_what_finds_no_room_is_a_downgrade(self) -> None:
        notes = Notes()
        write_prompt(self.words(phrases=["hat " * 50, "beard " * 50]), tiny_tokenizer(), 77, notes)
        assert any("no room" in text for text in notes.downgrades)


class TestTraceAndTask:
    def test_a_visit_that_raises_is_recorded(self) -> None:
        recorder = TraceRecorder()

        def fail() -> None:
            with recorder.visit(Stage.PHOTOS) as notes:
                notes.decided("to try")
                raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            fail()
        assert recorder.trace.records[0].stage is Stage.PHOTOS
        assert recorder.trace.decisions == ("to try",)

    def test_visits_to_a_stage_add_up(self) -> None:
        recorder = TraceRecorder()
        for _ in range(3):
            with recorder.visit(Stage.DENOISE):
                pass
        seconds = recorder.trace.seconds_by_stage()
        assert list(seconds) == [Stage.DENOISE]
        total = math.fsum(record.seconds for record in recorder.trace.records)
        assert seconds[Stage.DENOISE] == pytest.approx(total)

    def test_a_task_is_immutable_and_ends_once(self) -> None:
        task = FusionTask.new((Reference(Role.TARGET, "b.png"),), (Stage.PHOTOS,), 5)
        running = task.now(TaskState.RUNNING)
        assert (task.state, running.state) == (TaskState.QUEUED, TaskState.RUNNING)
        with pytest.raises(dataclasses.FrozenInstanceError):
            task.state = TaskState.DONE  # type: ignore[misc]
        with pytest.raises(ValueError, match="cannot become"):
            running.now(TaskState.DONE).now(TaskState.RUNNING)

    def test_a_task_outlives_its_time(self) -> None:
        task = FusionTask.new((), (), ttl_seconds=5)
        assert not task.expired(task.created + 5)
        assert task.expired(task.created + 5.1)

    def test_a_task_holds_no_pixels(self) -> None:
        kinds = {field.type for field in dataclasses.fields(FusionTask)}
        assert not any("ndarray" in str(kind) or "Tensor" in str(kind) for kind in kinds)


def test_pixels_survive_the_way_to_the_model_and_back() -> None:
    picture = painting(1, 40, 24)
    image = to_image(picture, CPU, torch.float32)
    assert image.shape == (1, 3, 24, 40)
    assert np.array_equal(to_pixels(image), picture)


class TestDenoiser:
    def row(self, pipe: StableDiffusionPipeline, seed: int, scale: float, steps: int) -> Row:
        return start_row(
            DDIMScheduler.from_config(pipe.scheduler.config), shape=(4, 16, 16), steps=steps,
            seed=seed, guidance_scale=scale, device=CPU, dtype=torch.float32,
        )  # fmt: skip

    @torch.inference_mode()
    def test_rows_of_other_scales_timesteps_and_words_share_a_batch(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        denoiser = RowDenoiser(faceid_pipe.unet)
        rows = [self.row(faceid_pipe, s, g, n) for s, g, n in ((1, 3.0, 4), (2, 1.0, 7), (3, 9, 3))]
        mates = [
            conditioning_of(faceid_pipe, prompt, seed)
            for prompt, seed in (("hat", 1), ("beard", 2), ("old woman", 3))
        ]
        mates = [mate.scaled(scale) for mate, scale in zip(mates, (1.0, 0.3, 0.0), strict=True)]
        together = denoiser.predict(rows, denoiser.batch(rows, mates))
        for row, mate, prediction in zip(rows, mates, together, strict=True):
            alone = denoiser.predict([row], denoiser.batch([row], [mate]))[0]
            assert torch.allclose(alone, prediction, atol=1e-4)
        assert denoiser.evaluations(rows) == 5

    def test_an_identity_scale_of_the_engines_own_leaves_the_pipelines_as_it_was(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        before = [list(one.scale) for one in identity_processors(faceid_pipe.unet)]
        assert before
        denoiser, row = RowDenoiser(faceid_pipe.unet), self.row(faceid_pipe, 1, 3.0, 4)
        mate = conditioning_of(faceid_pipe, "hat", 1).scaled(0.25)
        denoiser.predict([row], denoiser.batch([row], [mate]))
        assert [list(one.scale) for one in identity_processors(faceid_pipe.unet)] == before

    def test_a_unet_of_other_conditions_is_refused(self) -> None:
        unet = UNet2DConditionModel(
            block_out_channels=(8, 8), down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"), cross_attention_dim=8, norm_num_groups=4,
            time_cond_proj_dim=8, layers_per_block=1,
        )  # fmt: skip
        with pytest.raises(PipelineUnsupported, match="distilled"):
            RowDenoiser(unet)
