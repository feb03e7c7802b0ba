"""Directories of the public models' exact file names, keys and shapes, at full size.

SD1.5 is loaded, drawn with, unloaded and swapped, and what is wrong in its files is named. SDXL's
gigabytes are for benchmarks/public_shapes.py; its keys and shapes are counted here.
"""

import shutil
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from weakref import ref

import numpy as np
import pytest

from fusion import Engine, FusionRequest, Identity
from fusion.memory import resident_bytes, return_memory
from models import Bundle, BundleCorrupt, load_components, open_bundle
from tests.fusion.conftest import unit
from tests.public_shapes import (
    SD15,
    SDXL,
    PublicModel,
    Shapes,
    faceid_shapes,
    share_files,
    text_shapes,
    unet_shapes,
    vae_shapes,
    with_another_face,
    write_public_bundle,
    write_weights,
)

Change = dict[str, tuple[int, ...] | None]
REQUEST = FusionRequest(
    identities=(Identity(embedding=unit(1)),),
    prompt="portrait of a woman, age 35, smiling",
    size=(64, 64),
    steps=2,
    seed=1,
    verify=False,
)


class TestCounts:
    """Against the published models' own numbers."""

    @pytest.mark.parametrize(
        ("shapes", "tensors", "numbers"),
        [
            (lambda: faceid_shapes(SD15), 294, 48_354_816),
            (lambda: unet_shapes(SD15), 686, 859_520_964),
            (lambda: vae_shapes(SD15), 248, 83_653_863),
            (lambda: text_shapes(SD15.text_encoders["text_encoder"]), 196, 123_060_480),
            (lambda: unet_shapes(SDXL), 1680, 2_567_463_684),
            (lambda: vae_shapes(SDXL), 248, 83_653_863),
            (lambda: text_shapes(SDXL.text_encoders["text_encoder"]), 196, 123_060_480),
            (lambda: text_shapes(SDXL.text_encoders["text_encoder_2"]), 517, 694_659_840),
            (lambda: faceid_shapes(SDXL), 1266, 535_507_968),
        ],
        ids=["faceid", "unet", "vae", "clip", "xl unet", "xl vae", "xl clip", "bigg", "xl faceid"],
    )
    def test_tensors_and_parameters(
        self, shapes: Callable[[], Shapes], tensors: int, numbers: int
    ) -> None:
        found = shapes()
        assert (len(found), sum(map(prod, found.values()))) == (tensors, numbers)

    def test_keys_that_are_known_by_heart(self) -> None:
        unet = "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_k.weight"
        assert unet_shapes(SD15)[unet] == (1280, 768)
        assert unet_shapes(SDXL)["add_embedding.linear_1.weight"] == (1280, 2816)
        assert vae_shapes(SD15)["decoder.mid_block.attentions.0.proj_attn.weight"] == (512, 512)
        assert vae_shapes(SDXL)["decoder.mid_block.attentions.0.to_out.0.weight"] == (512, 512)
        clip = text_shapes(SD15.text_encoders["text_encoder"])
        assert clip["text_model.embeddings.token_embedding.weight"] == (49408, 768)
        assert text_shapes(SDXL.text_encoders["text_encoder_2"])["text_projection.weight"] == (
            1280,
            1280,
        )
        faceid = faceid_shapes(SD15)
        assert faceid["image_proj.proj.2.weight"] == (3072, 1024)
        assert faceid["ip_adapter.31.to_v_ip.weight"] == (1280, 768)
        assert faceid["ip_adapter.1.to_k_lora.down.weight"] == (128, 768)

    @pytest.mark.parametrize("model", [SD15, SDXL], ids=lambda model: model.name)
    def test_faceid_is_of_its_denoiser(self, model: PublicModel) -> None:
        """K and V of a face are as wide as those of words, layer by layer."""
        unet, faceid = unet_shapes(model), faceid_shapes(model)
        words = [shape for key, shape in unet.items() if key.endswith("attn2.to_k.weight")]
        faces = [shape for key, shape in faceid.items() if key.endswith("to_k_ip.weight")]
        assert sorted(words) == sorted(faces)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SD1.5's files, 2.2 GB, gone as soon as they are not needed."""
    place = tmp_path_factory.mktemp("public")
    if shutil.disk_usage(place).free < 4 << 30:
        pytest.skip("the full size takes 4 GB of disk")
    yield write_public_bundle(place / "sd15", SD15)
    shutil.rmtree(place)


class TestFullSize:
    def test_load_draw_unload_swap(self, directory: Path) -> None:
        other = with_another_face(directory, directory.parent / "other", SD15)
        return_memory()
        before = resident_bytes()
        with Engine.load(directory, device="cpu", precision="bf16") as engine:
            first = engine.fuse(REQUEST)
            unet = ref(engine._source.drawer().denoiser.given.unet)
            weights = resident_bytes() - before
            engine.unload()
            left = resident_bytes() - before
            assert unet() is None
            assert left < weights / 4, f"{left >> 20} of {weights >> 20} MiB are still held"
        assert first.images[0].size == (64, 64)
        assert np.asarray(first.images[0]).std() > 1, "noise, and not one colour"
        with Engine.load(other, device="cpu", precision="bf16") as engine:
            swapped = engine.fuse(REQUEST)
            alone = engine.fuse(REQUEST.model_copy(update={"identity_scale": 0.0}))
        assert not np.array_equal(np.asarray(first.images[0]), np.asarray(swapped.images[0]))
        assert not np.array_equal(np.asarray(alone.images[0]), np.asarray(swapped.images[0]))

    def test_files_are_named_as_published(self, directory: Path) -> None:
        names = {
            path.relative_to(directory).as_posix()
            for path in directory.rglob("*")
            if path.is_file()
        }
        assert {
            "ip-adapter/ip-adapter-faceid_sd15.safetensors",
            "pipeline/model_index.json",
            "pipeline/scheduler/scheduler_config.json",
            "pipeline/text_encoder/config.json",
            "pipeline/text_encoder/model.safetensors",
            "pipeline/tokenizer/merges.txt",
            "pipeline/tokenizer/special_tokens_map.json",
            "pipeline/tokenizer/tokenizer_config.json",
            "pipeline/tokenizer/vocab.json",
            "pipeline/unet/config.json",
            "pipeline/unet/diffusion_pytorch_model.safetensors",
            "pipeline/vae/config.json",
            "pipeline/vae/diffusion_pytorch_model.safetensors",
        } <= names

    def test_an_adapter_without_a_key_is_named(self, place: Path) -> None:
        shapes = changed(faceid_shapes(SD15), {"ip_adapter.17.to_v_ip.weight": None})
        write_weights(place / "ip-adapter" / SD15.faceid, shapes)
        assert "lacks ip_adapter.17.to_v_ip.weight" in refused(place)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"decoder.conv_in.weight": None}, "vae: 1 missing keys, the first decoder.conv_in.we"),
            ({"decoder.scale": (8,)}, "vae: 1 unexpected keys, the first decoder.scale"),
            ({"decoder.conv_in.bias": (8,)}, "vae cannot be loaded as AutoencoderKL"),
        ],
        ids=["missing", "unexpected", "another shape"],
    )
    def test_a_wrong_autoencoder_is_named(self, place: Path, change: Change, said: str) -> None:
        file = place / "pipeline" / "vae" / "diffusion_pytorch_model.safetensors"
        file.unlink()  # it is shared
        write_weights(file, changed(vae_shapes(SD15), change))
        assert said in refused(place)

    @pytest.fixture
    def place(self, directory: Path) -> Iterator[Path]:
        """A bundle to spoil, without an adapter, gone at once."""
        yield share_files(directory, directory.parent / "spoiled")
        shutil.rmtree(directory.parent / "spoiled")
        return_memory()  # for what is tested next


def changed(shapes: Shapes, change: Change) -> Shapes:
    """Other shapes; None: one that is missing."""
    return {key: shape for key, shape in {**shapes, **change}.items() if shape is not None}


def refused(place: Path) -> str:
    """What is said of files that the manifest's digests would have found out before."""
    manifest = open_bundle(place.parent / "sd15").manifest
    with pytest.raises(BundleCorrupt) as caught:
        load_components(Bundle("spoiled", place, manifest), device="cpu", precision="bf16")
    assert "\n" not in str(caught.value)
    return str(caught.value)
