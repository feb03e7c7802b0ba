"""Engines draw what eager draws, kept by what they depend on, refused where they do not."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models import (
    BackendUnavailable,
    DenoiserEngines,
    EngineRefused,
    EngineStore,
    KeyValueDenoiser,
    backend_named,
    example_rows,
    load_components,
    open_bundle,
)
from models.backends.backend import Backend, Runner
from models.backends.engines import build_engine, engine_key, find_engine, rows_padded
from models.backends.gate import psnr_db
from models.backends.graph import Graph, denoiser_graphs
from tests.models.unets import tiny_unet

SIZE = (8, 8)
LATENTS = (16, 16)  # of the tiny bundle
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def denoiser(request: pytest.FixtureRequest) -> KeyValueDenoiser:
    return KeyValueDenoiser(tiny_unet(request.param))


@pytest.fixture(scope="module")
def sd15() -> KeyValueDenoiser:
    return KeyValueDenoiser(tiny_unet("sd15"))


def graphs(denoiser: KeyValueDenoiser) -> tuple[Graph, Graph]:
    latents, conditions = example_rows(denoiser, SIZE)
    return denoiser_graphs(denoiser.plain_module, latents, conditions)


class Eager:
    """A backend whose engine is eager itself, changed as a test says."""

    name = "onnx"
    holds_weights = True

    def __init__(self, change: Any = None) -> None:
        self.change = change or (lambda outputs: outputs)

    def check(self, device: torch.device, dtype: torch.dtype) -> None: ...

    def facts(self, graph: Graph) -> dict[str, str]:
        return {"version": "1"}

    def build(self, graph: Graph, folder: Path) -> None:
        (folder / "graph.bin").write_bytes(b"engine")

    def load(self, graph: Graph, folder: Path) -> Runner:
        def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return tuple(self.change(list(graph.run(tensors))))

        return run


class TestExport:
    def test_whole_and_shallow_steps_export_with_any_number_of_rows(
        self, denoiser: KeyValueDenoiser
    ) -> None:
        for graph in graphs(denoiser):
            exported = graph.exported()
            assert not exported.graph_signature.buffers_to_mutate
            called = exported.module()
            for rows in (2, 3, 8):
                tensors = graph.examples(rows, seed=rows)
                for one, other in zip(graph.run(tensors), called(*tensors), strict=True):
                    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


class TestOnnx:
    def test_onnx_runtime_agrees_within_a_thousandth_from_one_to_eight_rows(
        self, denoiser: KeyValueDenoiser, tmp_path: Path
    ) -> None:
        backend = backend_named("onnx")
        for graph in graphs(denoiser):
            store = EngineStore(tmp_path / graph.kind.value)
            entry = build_engine(graph, backend, store, bundle="tiny")
            runner = rows_padded(graph, backend.load(graph, entry.folder))
            for rows in range(1, 9):
                tensors = graph.examples(rows, seed=rows)
                for one, other in zip(graph.run(tensors), runner(tensors), strict=True):
                    assert float((one - other).abs().max()) <= 1e-3

    def test_bfloat16_is_refused_with_what_to_give_instead(self) -> None:
        with pytest.raises(BackendUnavailable, match="fp32 or fp16, not bf16"):
            backend_named("onnx").check(CPU, torch.bfloat16)


class TestMissingLibraries:
    def test_tensorrt_names_the_extra_to_install(self) -> None:
        with pytest.raises(BackendUnavailable, match=r"limner\[gpu\]"):
            backend_named("tensorrt").check(torch.device("cuda"), torch.float16)

    def test_onnx_on_tensorrt_is_for_gpus(self) -> None:
        with pytest.raises(BackendUnavailable, match="does not run on cpu"):
            backend_named("onnx-tensorrt").check(CPU, torch.float32)

    def test_an_unknown_name_lists_the_known(self) -> None:
        with pytest.raises(BackendUnavailable, match="auto, eager, compiled, onnx"):
            backend_named("openvino")


class TestGate:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda outputs: [outputs[0] * float("nan"), *outputs[1:]], "not finite"),
            (lambda outputs: [outputs[0] + 1.0, *outputs[1:]], "dB from eager"),
            (lambda outputs: [outputs[0][:, :1], *outputs[1:]], "has shape"),
            (lambda outputs: [outputs[0], outputs[1] * 0.5], "deep_features"),
        ],
    )
    def test_an_engine_that_differs_is_refused_and_leaves_nothing(
        self, sd15: KeyValueDenoiser, tmp_path: Path, change: Any, said: str
    ) -> None:
        whole, _ = graphs(sd15)
        with pytest.raises(EngineRefused, match=said):
            build_engine(whole, Eager(change), EngineStore(tmp_path), bundle="tiny")
        assert list(tmp_path.iterdir()) == []

    def test_where_eager_is_not_finite_nothing_is_built(self, tmp_path: Path) -> None:
        broken = KeyValueDenoiser(tiny_unet("sd15"))
        with torch.no_grad():
            broken.unet.conv_out.weight[0, 0, 0, 0] = float("nan")
        whole, _ = graphs(broken)
        with pytest.raises(EngineRefused, match="eager's own numbers are not finite"):
            build_engine(whole, Eager(), EngineStore(tmp_path), bundle="tiny")
        assert list(tmp_path.iterdir()) == []

    def test_psnr_is_of_the_range_of_what_is_expected(self) -> None:
        expected = torch.tensor([0.0, 2.0])
        assert psnr_db(expected, expected + 0.2) == pytest.approx(20.0, abs=1e-3)


class TestKeys:
    def test_other_weights_need_another_engine_only_where_it_holds_them(
        self, sd15: KeyValueDenoiser
    ) -> None:
        other = KeyValueDenoiser(tiny_unet("sd15", seed=1))
        holding: Backend = Eager()
        compiled = backend_named("compiled")
        assert engine_key(graphs(sd15)[0], holding) != engine_key(graphs(other)[0], holding)
        assert engine_key(graphs(sd15)[0], compiled) == engine_key(graphs(other)[0], compiled)

    def test_size_kind_adapter_and_family_are_in_the_key(self, sd15: KeyValueDenoiser) -> None:
        bare = KeyValueDenoiser(tiny_unet("sd15", adapter=False))
        sdxl = KeyValueDenoiser(tiny_unet("sdxl"))
        latents, conditions = example_rows(sd15, (8, 16))
        wide = denoiser_graphs(sd15.plain_module, latents, conditions)
        found = [*graphs(sd15), *wide, *graphs(bare), *graphs(sdxl)]
        keys = {engine_key(graph, Eager()) for graph in found}
        assert len(keys) == len(found)

    def test_another_version_of_a_library_is_another_engine(
        self, sd15: KeyValueDenoiser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graph, backend = graphs(sd15)[0], Eager()
        before = engine_key(graph, backend)
        monkeypatch.setattr(backend, "facts", lambda graph: {"version": "2"})
        assert engine_key(graph, backend) != before


class TestStore:
    def test_a_cut_engine_is_not_run_and_eager_says_why(
        self, sd15: KeyValueDenoiser, tmp_path: Path
    ) -> None:
        store, backend = EngineStore(tmp_path), backend_named("onnx")
        whole, _ = graphs(sd15)
        entry = build_engine(whole, backend, store, bundle="tiny")
        assert find_engine(whole, "auto", store).backend == "onnx"
        file = entry.folder / "graph.onnx"
        file.write_bytes(file.read_bytes()[:-100])
        found = find_engine(whole, "onnx", store)
        assert found.runner is None
        assert "missing, cut or changed" in found.reason

    def test_engines_are_listed_by_size_and_removed(
        self, sd15: KeyValueDenoiser, tmp_path: Path
    ) -> None:
        store = EngineStore(tmp_path)
        entry = build_engine(graphs(sd15)[0], Eager(), store, bundle="tiny")
        assert store.has_size(*SIZE)
        assert not store.has_size(16, 16)
        assert [one.record for one in store.entries()] == [entry.record]
        store.remove(entry)
        assert store.entries() == ()

    def test_a_folder_that_cannot_be_written_is_told(
        self, sd15: KeyValueDenoiser, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        store = EngineStore(tmp_path / "file" / "engines")
        with pytest.raises(EngineRefused, match="LIMNER_ENGINES"):
            build_engine(graphs(sd15)[0], Eager(), store, bundle="tiny")


class TestRows:
    def test_any_number_of_rows_is_drawn_by_an_engine_of_two_to_thirty_two(
        self, sd15: KeyValueDenoiser
    ) -> None:
        whole, _ = graphs(sd15)
        asked: list[int] = []

        def runner(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            asked.append(tensors[0].shape[0])
            return whole.run(tensors)

        padded = rows_padded(whole, runner)
        for rows in (1, 2, 32, 33, 34, 65):
            asked.clear()
            tensors = whole.examples(rows, seed=rows)
            for one, other in zip(whole.run(tensors), padded(tensors), strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
            assert all(2 <= count <= 32 for count in asked)


@pytest.fixture(scope="module")
def eager(tiny_bundle: Path) -> KeyValueDenoiser:
    """The denoiser that was compiled."""
    return KeyValueDenoiser(load_components(open_bundle(tiny_bundle), device="cpu").unet)


class TestCompiled:
    def test_every_graph_is_built_and_equals_eager(self, compiled_tiny: EngineStore) -> None:
        records = [one.record for one in compiled_tiny.entries()]
        assert [one.graph for one in records] == ["decoder", "denoiser", "denoiser-shallow"]
        assert all(one.psnr_db > 100 for one in records)

    def test_one_engine_serves_other_faces_prompts_scales_and_batches_without_recompiling(
        self, eager: KeyValueDenoiser, compiled_tiny: EngineStore
    ) -> None:
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        engines = DenoiserEngines("compiled", compiled_tiny)
        assert engines.found(eager.plain_module, *example_rows(eager, LATENTS)).runner is not None
        compiled = KeyValueDenoiser(eager.unet, engines=engines)
        for rows in (1, 2, 3, 5, 8, 16):
            generator = torch.Generator().manual_seed(rows)
            latents = torch.randn(rows, 4, *LATENTS, generator=generator)
            _, two = example_rows(eager, LATENTS)
            conditions = two.select([index % 2 for index in range(rows)])
            times = torch.arange(rows) * 37
            one = eager.predict_whole(latents, times, conditions)
            other = compiled.predict_whole(latents, times, conditions)
            torch.testing.assert_close(one.noise, other.noise, atol=1e-4, rtol=1e-4)
            shallow = [
                each.predict_shallow(latents, times, conditions, one.deep)
                for each in (eager, compiled)
            ]
            torch.testing.assert_close(*shallow, atol=1e-4, rtol=1e-4)
        assert not torch._dynamo.utils.counters["frames"]

    def test_weights_changed_in_place_are_drawn_with(
        self, eager: KeyValueDenoiser, compiled_tiny: EngineStore
    ) -> None:
        other = KeyValueDenoiser(deepcopy(eager.unet))
        with torch.no_grad():
            for weight in other.unet.parameters():
                weight.mul_(0.9)
        latents, conditions = example_rows(other, LATENTS)
        engines = DenoiserEngines("compiled", compiled_tiny)
        assert engines.found(other.plain_module, latents, conditions).runner is not None
        compiled = KeyValueDenoiser(other.unet, engines=engines)
        times = torch.tensor([3, 400])
        before = compiled.predict(latents, times, conditions)
        torch.testing.assert_close(
            before, other.predict(latents, times, conditions), atol=1e-4, rtol=1e-4
        )
        with torch.no_grad():
            other.unet.conv_out.weight.mul_(2)
            other.unet.conv_out.bias.add_(3)  # so few numbers that torch would write them as code
        after = compiled.predict(latents, times, conditions)
        torch.testing.assert_close(
            after, other.predict(latents, times, conditions), atol=1e-4, rtol=1e-4
        )
        assert float((after - before).abs().max()) > 1e-2

    def test_a_size_without_an_engine_is_drawn_eagerly(
        self, eager: KeyValueDenoiser, compiled_tiny: EngineStore
    ) -> None:
        latents, conditions = example_rows(eager, (16, 8))
        engines = DenoiserEngines("compiled", compiled_tiny)
        assert engines.found(eager.plain_module, latents, conditions).runner is None
        compiled = KeyValueDenoiser(eager.unet, engines=engines)
        times = torch.tensor([3, 400])
        drawn = compiled.predict(latents, times, conditions)
        assert torch.equal(drawn, eager.predict(latents, times, conditions))
