"""What a network is, is read from its graph, whatever has happened to the file."""

import contextlib
from pathlib import Path

import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import FacePackRejected
from models.face_graphs import read_graph
from tests.models.packs import save, shaped


class TestGraphs:
    def test_as_the_onnx_library_reads_them(self, sources: Path) -> None:
        for file in sources.iterdir():
            model, graph = onnx.load(file), read_graph(file)
            parts = (model.graph.input, graph.inputs), (model.graph.output, graph.outputs)
            for values, shapes in parts:
                expected = tuple(
                    tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
                    for value in values
                )
                assert shapes == expected

    def test_weights_among_the_inputs_are_no_inputs(self, tmp_path: Path) -> None:
        """As MXNet's exports have it; a recogniser then seems to take hundreds of pictures."""
        model = shaped(
            {"data": [1, 3, 112, 112], "w": [3, 4]}, {"fc1": [1, 512]}, weights=("w",)
        )  # fmt: skip
        assert read_graph(save(model, tmp_path / "old.onnx")).inputs == ((1, 3, 112, 112),)

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
    def test_damage_anywhere_gives_a_graph_or_a_refusal(
        self, sources: Path, tmp_path: Path, at: int, junk: bytes
    ) -> None:
        data = bytearray((sources / "det.onnx").read_bytes())
        at %= len(data)
        data[at : at + len(junk)] = junk
        file = tmp_path / "damaged.onnx"
        file.write_bytes(data)
        with contextlib.suppress(FacePackRejected):
            assert read_graph(file).outputs
