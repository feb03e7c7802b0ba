"""Fast mode approximates by the row alone, and costs what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from fusion import Engine, EngineSettings, FastSettings, FusionRequest, Identity, InvalidRequest
from fusion.denoiser import RowDenoiser
from fusion.fast import EXACT
from fusion.sampler import Row, start_row
from tests.fusion.conftest import conditioning_of, drawn, unit

CPU = torch.device("cpu")
SOMEONE = Identity(embedding=unit(1))


def row_of(pipe: StableDiffusionPipeline, seed: int, fast: FastSettings, steps: int = 8) -> Row:
    return start_row(
        DDIMScheduler.from_config(pipe.scheduler.config), shape=(4, 16, 16), steps=steps,
        seed=seed, guidance_scale=2.0, device=CPU, dtype=torch.float32, fast=fast,
    )  # fmt: skip


class TestPhases:
    def test_which_steps_compute_everything(self) -> None:
        fast = FastSettings(interval=3, exact_first=2, exact_last=1)
        whole = [position for position in range(10) if fast.whole(position, 10)]
        assert whole == [0, 1, 4, 7, 9]
        assert all(EXACT.whole(position, 5) for position in range(5))

    @pytest.mark.parametrize("given", [{"interval": 0}, {"guided_until": 2}, {"exact_first": 0}])
    def test_settings_without_meaning_are_refused(self, given: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=next(iter(given))):
            FastSettings(**given)


class TestDrawing:
    def test_an_interval_of_one_with_all_its_guidance_is_exact(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        denoiser, given = RowDenoiser(faceid_pipe.unet), conditioning_of(faceid_pipe, "hat", 1)
        ours = drawn(denoiser, [row_of(faceid_pipe, 1, EXACT)], given)
        plain = row_of(faceid_pipe, 1, FastSettings())
        plain.fast = EXACT
        assert torch.equal(*ours, *drawn(denoiser, [plain], given))

    def test_features_taken_over_change_the_picture_a_little(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        denoiser, given = RowDenoiser(faceid_pipe.unet), conditioning_of(faceid_pipe, "hat", 1)
        (exact,) = drawn(denoiser, [row_of(faceid_pipe, 1, EXACT)], given)
        kept = FastSettings(interval=2, guided_until=1.0)
        (fast,) = drawn(denoiser, [row_of(faceid_pipe, 1, kept)], given)
        apart = float((fast - exact).abs().max())
        assert 0 < apart < 0.2 * float(exact.abs().max())

    def test_rows_in_other_phases_share_a_loop_and_are_as_if_alone(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        """Of 8, 6 and 5 steps, one of them exact: whole and shallow rows meet at every step."""
        denoiser, given = RowDenoiser(faceid_pipe.unet), conditioning_of(faceid_pipe, "hat", 1)
        kinds = ((FastSettings(guided_until=0.6), 8), (FastSettings(interval=2), 6), (EXACT, 5))

        def rows() -> list[Row]:
            return [row_of(faceid_pipe, n, fast, steps) for n, (fast, steps) in enumerate(kinds)]

        together = drawn(denoiser, rows(), given)
        for row, latents in zip(rows(), together, strict=True):
            assert torch.allclose(drawn(denoiser, [row], given)[0], latents, atol=1e-4)


class TestRequests:
    def test_it_is_off_unless_asked_for_and_says_what_it_did(self, engine: Engine) -> None:
        request = FusionRequest(identities=(SOMEONE,), steps=10, verify=False)
        exact = engine.fuse(request)
        fast = engine.fuse(request.model_copy(update={"mode": "fast"}))
        assert exact.usage.shallow_evaluations == 0
        assert exact.usage.denoiser_evaluations == 20
        # Whole: steps 0, 1, 4 and 7, with both branches of guidance.
        assert fast.usage.denoiser_evaluations == 8
        assert fast.usage.shallow_evaluations == 12
        assert any("fast" in text for text in fast.trace.decisions)
        assert not np.array_equal(np.asarray(exact.images[0]), np.asarray(fast.images[0]))

    def test_the_engine_says_how_much_is_approximated(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        settings = EngineSettings(fast=FastSettings(interval=1, guided_until=0.5))
        with Engine.from_diffusers(faceid_pipe, settings=settings) as engine:
            usage = engine.fuse(
                FusionRequest(identities=(SOMEONE,), steps=8, verify=False, mode="fast")
            ).usage
        assert (usage.denoiser_evaluations, usage.shallow_evaluations) == (12, 0)


class TestGuidanceInterval:
    def test_outside_of_it_only_one_branch_is_evaluated(self, engine: Engine) -> None:
        request = FusionRequest(
            identities=(SOMEONE,), steps=10, verify=False, guidance_interval=(0.2, 0.7)
        )
        usage = engine.fuse(request).usage
        assert usage.denoiser_evaluations == 5 * 2 + 5
        whole = request.model_copy(update={"guidance_interval": (0.0, 1.0)})
        plain = request.model_copy(update={"guidance_interval": None})
        assert np.array_equal(
            np.asarray(engine.fuse(whole).images[0]), np.asarray(engine.fuse(plain).images[0])
        )

    def test_in_fast_mode_a_branch_that_begins_late_computes_everything_first(
        self, engine: Engine
    ) -> None:
        request = FusionRequest(
            identities=(SOMEONE,), steps=10, verify=False, guidance_interval=(0.5, 1.0), mode="fast"
        )
        # Whole: 0, 1, 4 alone; 5 (it begins) and 7 guided. Shallow: 2, 3 alone; 6, 8, 9 guided.
        usage = engine.fuse(request).usage
        assert usage.denoiser_evaluations == 3 + 4
        assert usage.shallow_evaluations == 2 + 6

    @pytest.mark.parametrize("interval", [(0.5, 0.5), (0.7, 0.2), (-0.1, 1), (0, 1.1)])
    def test_an_interval_that_is_none_is_refused(
        self, engine: Engine, interval: tuple[float, float]
    ) -> None:
        with pytest.raises(InvalidRequest, match="guidance_interval"):
            engine.fuse(FusionRequest(guidance_interval=interval))
