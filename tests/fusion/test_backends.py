"""The engine draws with what was compiled, changes adapters between requests, and says so."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fusion import Engine, FusionRequest, FusionResult, Identity, compile_bundle
from models import (
    AdapterRejected,
    AdapterStack,
    BackendUnavailable,
    EngineStore,
    backend_named,
    read_lora,
)
from tests.fusion.conftest import unit

REQUEST = FusionRequest(
    identities=(Identity(embedding=unit(1)),), attributes={"age": 35}, steps=3, seed=5
)


def decisions(result: FusionResult) -> str:
    return "\n".join(said for record in result.trace.records for said in record.decisions)


def downgrades(result: FusionResult) -> str:
    return "\n".join(said for record in result.trace.records for said in record.downgrades)


def pixels(result: FusionResult) -> np.ndarray:
    return np.asarray(result.images[0], dtype=np.float64)


@pytest.fixture
def engines(compiled_tiny: EngineStore, monkeypatch: pytest.MonkeyPatch) -> EngineStore:
    """What was compiled, where engines look for it."""
    monkeypatch.setenv("LIMNER_ENGINES", str(compiled_tiny.root))
    return compiled_tiny


@pytest.fixture(scope="module")
def onnx(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    store = EngineStore(tmp_path_factory.mktemp("onnx"))
    compile_bundle(tiny_bundle, "onnx", device="cpu", store=store)
    return store


class TestCompiled:
    def test_auto_draws_with_what_was_built_and_equals_eager(
        self, engines: EngineStore, tiny_bundle: Path
    ) -> None:
        with (
            Engine.load(tiny_bundle, device="cpu", backend="eager") as eager,
            Engine.load(tiny_bundle, device="cpu") as auto,
        ):
            for request in (REQUEST, REQUEST.model_copy(update={"mode": "fast", "steps": 6})):
                one, other = eager.fuse(request), auto.fuse(request)
                error = np.mean((pixels(one) - pixels(other)) ** 2)
                assert error < 255**2 / 10**5  # 50 dB
                assert "backend: compiled" in decisions(other)
                assert "backend" not in decisions(one)

    def test_a_size_that_was_not_built_is_drawn_eagerly_and_told_where_a_name_was_given(
        self, engines: EngineStore, tiny_bundle: Path
    ) -> None:
        wide = REQUEST.model_copy(update={"size": (192, 128)})
        with Engine.load(tiny_bundle, device="cpu", backend="compiled") as engine:
            assert "no engine for latents of" in downgrades(engine.fuse(wide))
            assert "backend: compiled" in decisions(engine.fuse(REQUEST))

    def test_memory_low_decodes_without_an_engine_too(
        self, engines: EngineStore, tiny_bundle: Path
    ) -> None:
        with Engine.load(tiny_bundle, device="cpu", memory="low") as engine:
            result, drawer = engine.fuse(REQUEST), engine._source.drawer()
            assert "backend" not in decisions(result) + downgrades(result)
            assert drawer.backend.decoder(drawer.vae, torch.zeros(1, 4, 16, 16)) is None

    def test_an_engine_that_was_cut_is_not_run_and_told(
        self,
        engines: EngineStore,
        tiny_bundle: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        shutil.copytree(engines.root, tmp_path / "engines")
        monkeypatch.setenv("LIMNER_ENGINES", str(tmp_path / "engines"))
        for file in (tmp_path / "engines").glob("*/graph.pt2"):
            file.write_bytes(file.read_bytes()[:1000])
        with Engine.load(tiny_bundle, device="cpu") as engine:
            assert "cut or changed" in decisions(engine.fuse(REQUEST))

    @pytest.mark.parametrize(
        ("graph", "told"), [("decoder", "decoder"), ("denoiser-shallow", "fast mode's steps")]
    )
    def test_a_part_that_has_no_engine_is_told(
        self,
        engines: EngineStore,
        tiny_bundle: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        graph: str,
        told: str,
    ) -> None:
        store = EngineStore(tmp_path / "engines")
        shutil.copytree(engines.root, store.root)
        for entry in store.entries():
            if entry.record.graph == graph:
                (entry.folder / "graph.pt2").write_bytes(b"cut")
        monkeypatch.setenv("LIMNER_ENGINES", str(store.root))
        fast = REQUEST.model_copy(update={"mode": "fast", "steps": 6})
        with Engine.load(tiny_bundle, device="cpu") as engine:
            said = decisions(engine.fuse(fast))
            assert "backend: compiled for the denoiser and the " in said
            assert f"backend: eager for the {told}, since " in said
            if told != "decoder":
                assert told not in decisions(engine.fuse(REQUEST))

    def test_without_its_library_a_backend_is_refused_before_anything_is_read(self) -> None:
        with pytest.raises(BackendUnavailable, match=r"limner\[gpu\]"):
            Engine.load("no such bundle", backend="tensorrt")
        with pytest.raises(BackendUnavailable, match="memory low is drawn by backend eager"):
            Engine.load("no such bundle", device="cpu", backend="compiled", memory="low")


class TestAdapters:
    @pytest.fixture
    def lora(self, tmp_path: Path) -> Path:
        torch.manual_seed(3)
        name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
        with Engine.load(self.bundle, device="cpu") as engine:
            layer = engine._source.drawer().denoiser.given.unet.get_submodule(
                name.removeprefix("unet.")
            )
        file = tmp_path / "style.safetensors"
        save_file(
            {
                f"{name}.lora_A.weight": torch.randn(4, layer.in_features),
                f"{name}.lora_B.weight": torch.randn(layer.out_features, 4),
            },
            file,
        )
        return file

    @pytest.fixture(autouse=True)
    def _bundle(self, tiny_bundle: Path) -> None:
        self.bundle = tiny_bundle

    def test_a_lora_added_scaled_and_removed_between_requests(self, lora: Path) -> None:
        with (
            Engine.load(self.bundle, device="cpu", backend="eager") as engine,
            Engine.load(self.bundle, device="cpu", backend="eager") as other,
        ):
            before = pixels(engine.fuse(REQUEST))
            shown = engine.adapt(lambda stack: stack.add(read_lora(lora), "style", 1.0))
            assert [one.name for one in shown] == ["faceid", "style"]
            styled = pixels(engine.fuse(REQUEST))
            assert np.abs(styled - before).max() > 0
            assert np.array_equal(pixels(other.fuse(REQUEST)), before)  # shares nothing changed
            engine.adapt(lambda stack: stack.set_scale("style", 0.0))
            assert np.array_equal(pixels(engine.fuse(REQUEST)), before)
            engine.adapt(lambda stack: stack.remove("style"))
            assert np.array_equal(pixels(engine.fuse(REQUEST)), before)

    def test_a_compiled_engine_draws_with_a_lora_without_being_built_again(
        self, engines: EngineStore, lora: Path
    ) -> None:
        assert not backend_named("compiled").holds_weights
        style = read_lora(lora)
        with (
            Engine.load(self.bundle, device="cpu", backend="eager") as eager,
            Engine.load(self.bundle, device="cpu", backend="compiled") as compiled,
        ):
            for engine in (eager, compiled):
                engine.adapt(lambda stack: stack.add(style, "style"))
            one, other = eager.fuse(REQUEST), compiled.fuse(REQUEST)
            assert "backend: compiled" in decisions(other)
            assert np.mean((pixels(one) - pixels(other)) ** 2) < 255**2 / 10**5
            compiled.adapt(lambda stack: stack.clear())  # another graph: nobody's face is given
            nobody = compiled.fuse(REQUEST.model_copy(update={"identities": ()}))
            assert downgrades(nobody) == (
                "backend: eager instead of compiled for the denoiser: no engine is for the models "
                "as faceid left them"
            )

    def test_a_refused_adapter_changes_nothing(self, lora: Path) -> None:
        style = read_lora(lora)

        def both(stack: AdapterStack) -> None:
            stack.add(style, "style")  # which alone would be taken
            stack.add(style, "faceid")

        with Engine.load(self.bundle, device="cpu", backend="eager") as engine:
            before, on = pixels(engine.fuse(REQUEST)), engine.adapters
            with pytest.raises(AdapterRejected):
                engine.adapt(both)
            assert engine.adapters == on
            assert np.array_equal(pixels(engine.fuse(REQUEST)), before)

    def test_an_engine_that_holds_weights_is_left_for_a_lora_and_told_why(
        self, onnx: EngineStore, lora: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIMNER_ENGINES", str(onnx.root))
        style = read_lora(lora)
        with (
            Engine.load(self.bundle, device="cpu", backend="eager") as eager,
            Engine.load(self.bundle, device="cpu", backend="onnx") as named,
            Engine.load(self.bundle, device="cpu") as auto,
        ):
            for engine in (eager, named, auto):
                engine.adapt(lambda stack: stack.add(style, "style"))
            one, other, third = (engine.fuse(REQUEST) for engine in (eager, named, auto))
            for drawn in (other, third):
                assert np.mean((pixels(one) - pixels(drawn)) ** 2) < 255**2 / 10**5
                assert "backend: onnx for the decoder" in decisions(drawn)
            why = "no engine is for the models as style left them; compiled draws with any LoRA"
            assert f"backend: eager instead of onnx for the denoiser: {why}" in downgrades(other)
            assert f"backend: eager for the denoiser, since {why}" in decisions(third)
            for engine in (named, auto):
                engine.adapt(lambda stack: stack.remove("style"))
                assert "backend: onnx\n" in decisions(engine.fuse(REQUEST)) + "\n"
