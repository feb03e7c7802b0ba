"""The engine as a whole: results, the identity gate, refusals, loading."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image

from cache import digest_array
from fusion import (
    Engine,
    FaceAnalysisMissing,
    FusionRequest,
    FusionResult,
    Identity,
    IdentityUnsupported,
    InvalidRequest,
    Stage,
    TaskState,
)
from fusion.denoiser import identity_processors
from fusion.source import PipelineSource
from fusion.stages.photos import read_photos, references_of
from models import (
    BackendUnavailable,
    BundleCorrupt,
    DeviceUnavailable,
    Face,
    FaceNotFound,
    ImageRejected,
    SeveralFaces,
    load_components,
    open_bundle,
)
from prompting import PromptTooLong
from tests.fusion.conftest import Picture, Scripted, face_at, painting, unit

SOMEONE = Identity(embedding=unit(1))


def pixels(result: FusionResult, index: int = 0) -> NDArray[np.uint8]:
    return np.asarray(result.images[index])


class TestResults:
    def test_a_free_portrait_of_two_people(self, engine: Engine) -> None:
        request = FusionRequest(
            identities=[
                Identity(image=painting(1), weight=3),
                Identity(embedding=unit(2), weight=1),
            ],
            attributes={"age": 35, "glasses": True},
        )
        result = engine.fuse(request)
        assert result.images[0].size == (128, 128)
        assert result.plan.prompt == "person portrait, glasses, age 35"
        assert [one.weight for one in result.request.identities] == [0.75, 0.25]
        assert result.task.state is TaskState.DONE
        assert all(reference.digest for reference in result.task.references)
        assert Stage.COMPOSE not in result.task.operations

    def test_usage_counts_what_was_done(self, engine: Engine) -> None:
        request = FusionRequest(
            identities=(Identity(image=painting(31)),), steps=3, count=2, guidance_scale=2
        )
        usage = engine.fuse(request).usage
        assert (usage.images, usage.attempts, usage.steps) == (2, 2, 3)
        assert usage.denoiser_evaluations == 2 * 3 * 2
        assert (usage.faces_analysed, usage.faces_reused) == (1, 0)
        assert usage.seconds == pytest.approx(sum(usage.seconds_by_stage.values()))
        assert usage.seconds > 0
        assert usage.peak_memory_bytes > 50 << 20
        again = engine.fuse(request).usage
        assert (again.faces_analysed, again.faces_reused) == (0, 1)
        alone = engine.fuse(request.model_copy(update={"guidance_scale": 1.0})).usage
        assert alone.denoiser_evaluations == 2 * 3

    def test_the_same_seed_is_the_same_picture_in_a_used_and_in_a_fresh_engine(
        self, engine: Engine, tiny_bundle: Path
    ) -> None:
        request = FusionRequest(identities=(SOMEONE,), attributes={"hat": True}, seed=3)
        first = pixels(engine.fuse(request))
        engine.fuse(FusionRequest(identities=(SOMEONE,), identity_scale=0.2, scheduler="ddim"))
        assert np.array_equal(first, pixels(engine.fuse(request)))
        with Engine.load(tiny_bundle, device="cpu") as fresh:
            assert np.array_equal(first, pixels(fresh.fuse(request)))
        other = request.model_copy(update={"seed": 4})
        assert not np.array_equal(first, pixels(engine.fuse(other)))

    def test_each_of_several_pictures_is_the_one_of_its_own_seed(self, engine: Engine) -> None:
        several = engine.fuse(FusionRequest(identities=(SOMEONE,), seed=20, count=6, steps=2))
        assert [picture.seed for picture in several.pictures] == [20, 21, 22, 23, 24, 25]
        for index in (0, 5):
            alone = engine.fuse(FusionRequest(identities=(SOMEONE,), seed=20 + index, steps=2))
            difference = np.abs(pixels(alone).astype(int) - pixels(several, index))
            assert difference.max() <= 1

    def test_a_result_tells_its_likeness_to_each(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        seen = face_at(40, 40, 50, unit(1))
        engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: (seen,)))
        people = (Identity(embedding=unit(1), weight=2), Identity(embedding=unit(2)))
        result = engine.fuse(FusionRequest(identities=people, steps=1))
        assert result.similarity[0].cosine == pytest.approx(1)
        assert result.similarity[1].cosine == pytest.approx(float(unit(1) @ unit(2)), abs=1e-6)
        unseen = engine.fuse(FusionRequest(identities=people, steps=1, verify=False))
        assert unseen.similarity == ()
        assert not unseen.pictures[0].verified

    def test_a_picture_without_a_face_is_warned_of(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine = Engine.from_diffusers(faceid_pipe, Scripted(lambda _: ()))
        result = engine.fuse(FusionRequest(identities=(SOMEONE,), steps=1))
        assert result.warnings == ("picture 1: no face was found in it",)


class TestIdentityGate:
    """The n-th look at a drawing finds the n-th of the scripted likenesses."""

    def engine(self, pipe: StableDiffusionPipeline, likenesses: list[float]) -> Engine:
        wished, other = unit(1), unit(2)
        other = other - (other @ wished) * wished
        other /= np.linalg.norm(other)
        looks = iter(likenesses)

        def script(_: Picture) -> tuple[Face, ...]:
            cosine = next(looks)
            embedding = cosine * wished + np.sqrt(1 - cosine**2) * other
            return (face_at(30, 30, 60, embedding.astype(np.float32)),)

        return Engine.from_diffusers(pipe, Scripted(script))

    def test_a_picture_below_it_is_drawn_again_and_it_is_said(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine = self.engine(faceid_pipe, [0.2, 0.6])
        result = engine.fuse(FusionRequest(identities=(SOMEONE,), steps=1, min_identity=0.5))
        picture = result.pictures[0]
        assert (picture.attempts, result.usage.attempts) == (2, 2)
        assert picture.wished_cosine == pytest.approx(0.6, abs=1e-5)
        assert picture.seed != 7
        assert picture.identity_scale == pytest.approx(1.15)
        assert any("attempt 2" in text for text in result.trace.decisions)
        assert result.warnings == ()

    def test_the_best_is_kept_when_none_is_good_enough(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine = self.engine(faceid_pipe, [0.2, 0.4, 0.3])
        request = FusionRequest(
            identities=(SOMEONE,), steps=1, min_identity=0.5, max_retries=2, identity_scale=0.5
        )
        result = engine.fuse(request)
        assert result.pictures[0].wished_cosine == pytest.approx(0.4, abs=1e-5)
        assert "0.50 was asked for" in result.warnings[0]
        again = FusionRequest(
            identities=(SOMEONE,), steps=1, seed=result.pictures[0].seed, verify=False,
            identity_scale=result.pictures[0].identity_scale,
        )  # fmt: skip
        assert np.array_equal(pixels(engine.fuse(again)), pixels(result)), "as the report says"

    def test_only_those_below_it_are_drawn_again(
        self, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        engine = self.engine(faceid_pipe, [0.9, 0.1, 0.9, 0.7])
        request = FusionRequest(identities=(SOMEONE,), steps=1, min_identity=0.5, count=3)
        result = engine.fuse(request)
        assert [picture.attempts for picture in result.pictures] == [1, 2, 1]
        assert result.usage.attempts == 4


class TestRefusals:
    """Bad input is refused with its own class, and nothing is drawn or loaded for it."""

    @pytest.fixture
    def cold(self, tiny_bundle: Path) -> Engine:
        return Engine.load(tiny_bundle, device="cpu")

    def refused(self, engine: Engine, request: FusionRequest, kind: type[Exception]) -> str:
        with pytest.raises(kind) as caught:
            engine.fuse(request)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_pictures(self, cold: Engine, tmp_path: Path) -> None:
        missing = str(tmp_path / "gone.png")
        assert missing in self.refused(
            cold, FusionRequest(identities=(Identity(image=missing),)), ImageRejected
        )
        assert "identity 2" in self.refused(
            cold, FusionRequest(identities=(SOMEONE, Identity(image=b"nothing"))), ImageRejected
        )
        assert "target" in self.refused(cold, FusionRequest(target=b"nothing"), ImageRejected)
        assert not cold.loaded

    def test_faces(self, cold: Engine) -> None:
        black = np.zeros((128, 128, 3), np.uint8)
        message = self.refused(
            cold, FusionRequest(identities=(Identity(image=black),)), FaceNotFound
        )
        assert "drawn people" in message
        group = Identity(image=painting(1, 256, 128))
        assert "faces" in self.refused(cold, FusionRequest(identities=(group,)), SeveralFaces)
        chosen = group.model_copy(update={"face": 2})
        assert cold.fuse(FusionRequest(identities=(chosen,), steps=1)).images

    def test_words(self, engine: Engine) -> None:
        self.refused(engine, FusionRequest(prompt="hat " * 80), PromptTooLong)
        self.refused(engine, FusionRequest(prompt="hat", negative_prompt="x " * 80), PromptTooLong)

    def test_what_a_pipeline_cannot(
        self, plain_pipe: StableDiffusionPipeline, faceid_pipe: StableDiffusionPipeline
    ) -> None:
        plain = Engine.from_diffusers(plain_pipe)
        self.refused(plain, FusionRequest(identities=(SOMEONE,)), IdentityUnsupported)
        bare = Engine.from_diffusers(faceid_pipe)
        photo = FusionRequest(identities=(Identity(image="a.png"),))
        self.refused(bare, photo, FaceAnalysisMissing)
        self.refused(bare, FusionRequest(target="a.png"), FaceAnalysisMissing)
        gated = FusionRequest(identities=(SOMEONE,), min_identity=0.5)
        self.refused(bare, gated, FaceAnalysisMissing)
        nobody = FusionRequest(min_identity=0.5)
        self.refused(bare, nobody, InvalidRequest)

    def test_backends(self, tiny_bundle: Path) -> None:
        with pytest.raises(BackendUnavailable, match="tensorrt"):
            Engine.load(tiny_bundle, backend="tensorrt")

    def test_a_refusal_is_raised_by_submit_itself(self, engine: Engine) -> None:
        with pytest.raises(InvalidRequest):
            engine.submit(FusionRequest(count=99))


class TestLoading:
    def test_a_changed_byte_is_refused_before_anything_is_drawn(
        self, tiny_bundle: Path, tmp_path: Path
    ) -> None:
        spoiled = shutil.copytree(tiny_bundle, tmp_path / "spoiled")
        file = next((spoiled / "pipeline" / "unet").glob("*.safetensors"))
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        with pytest.raises(BundleCorrupt, match="sha256"):
            Engine.load(spoiled, device="cpu")

    @pytest.mark.parametrize("options", [{"device": "banana"}, {"precision": "x"}])
    def test_a_device_or_precision_nobody_knows_is_refused_at_once(
        self, tiny_bundle: Path, options: dict[str, str]
    ) -> None:
        with pytest.raises(DeviceUnavailable, match="is not known"):
            Engine.load(tiny_bundle, **options)

    def test_scales_that_differ_by_block_are_not_overruled_in_silence(
        self, tiny_bundle: Path
    ) -> None:
        pipe = load_components(open_bundle(tiny_bundle), device="cpu").pipeline()
        assert PipelineSource(pipe, None).warnings == ()
        identity_processors(pipe.unet)[0].scale = [0.25]
        source = PipelineSource(pipe, None)
        assert source.defaults.identity_scale == 1.0
        assert any("in each block" in warning for warning in source.warnings)


def test_photos_of_one_name_keep_their_own_digests(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "photo.png" for folder in ("a", "b")]
    for seed, path in enumerate(paths):
        path.parent.mkdir()
        Image.fromarray(painting(seed)).save(path)
    people = (Identity(image=paths[0]), Identity(embedding=unit(1)), Identity(image=paths[1]))
    request = FusionRequest(identities=people, target=paths[0])
    given = references_of(request)
    photos = read_photos(request)
    read = photos.references(given)
    assert [one.role for one in read] == [one.role for one in given]
    assert read[0].digest == read[3].digest == digest_array(painting(0))
    assert read[1] == given[1]
    assert read[2].digest == digest_array(painting(1))


def test_a_size_the_model_never_learnt_is_remarked_upon(tiny_bundle: Path) -> None:
    """It drew six heads into one picture, and said nothing."""
    with Engine.load(tiny_bundle, device="cpu") as engine:
        own = engine.resolve(FusionRequest()).size
        usual = engine.fuse(FusionRequest(steps=1))
        wide = engine.fuse(FusionRequest(steps=1, size=(own[0] * 2, own[1])))
    assert not any("learnt" in said for said in usual.warnings)
    assert any("learnt" in said for said in wide.warnings)
