"""A pack that cannot work is refused in one line that says what to do."""

import os
import shutil
from pathlib import Path

import pytest

from models import BundleCorrupt, FaceAnalyser, FacePackRejected, find_face_pack, open_bundle
from tests.models.face_packs.looking import refusal
from tests.models.packs import recogniser, save, shaped


class TestRefusals:
    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert "holds no *.onnx" in refusal(tmp_path)

    def test_an_archive(self, tmp_path: Path) -> None:
        (tmp_path / "buffalo_l.zip").write_bytes(b"PK\3\4")
        assert "unpack it" in refusal(tmp_path / "buffalo_l.zip")

    @pytest.mark.parametrize(("name", "kind"), [("det", "detector"), ("rec", "recogniser")])
    def test_one_of_the_two_is_missing(self, folder: Path, name: str, kind: str) -> None:
        (folder / f"{name}.onnx").unlink()
        message = refusal(folder)
        assert f"has no {kind}" in message
        assert "genderage.onnx (gender and age)" in message

    @pytest.mark.parametrize("name", ["det", "rec"])
    def test_two_of_a_kind_until_one_is_named(self, folder: Path, name: str) -> None:
        """The library takes the first by name and says nothing."""
        shutil.copy(folder / f"{name}.onnx", folder / f"{name}_2.onnx")
        assert f"{name}.onnx, {name}_2.onnx; name the one" in refusal(folder)
        pack = find_face_pack(folder / f"{name}_2.onnx")
        assert f"{name}_2.onnx" in (pack.detector.path.name, pack.recogniser.path.name)

    def test_a_network_that_is_neither(self, folder: Path) -> None:
        assert "neither a detector" in refusal(folder / "genderage.onnx")

    def test_a_detector_without_points(self, folder: Path) -> None:
        outputs = {f"o{k}": [1, 3, 64, 64] for k in range(6)}
        save(shaped({"data": [1, 3, 64, 64]}, outputs), folder / "det.onnx")  # type: ignore[arg-type]
        assert "without points" in refusal(folder)

    def test_a_recogniser_of_another_width(self, folder: Path) -> None:
        save(recogniser(width=128), folder / "rec.onnx")
        assert "128 outputs, FaceID takes 512" in refusal(folder)

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
    def test_a_file_cut_short(self, folder: Path, share: float) -> None:
        data = (folder / "rec.onnx").read_bytes()
        (folder / "rec.onnx").write_bytes(data[: int(len(data) * share)])
        message = refusal(folder)
        assert str(folder / "rec.onnx") in message
        assert "cut short" in message

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "is empty"),
            (b"<!DOCTYPE html><html>", "no whole ONNX file"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 174383860\n", "lfs"),
            (os.urandom(3000), "no whole ONNX file"),
        ],
    )
    def test_a_file_that_is_no_network(self, folder: Path, data: bytes, words: str) -> None:
        (folder / "rec.onnx").write_bytes(data)
        message = refusal(folder)
        assert str(folder / "rec.onnx") in message
        assert words in message

    def test_a_link_to_nowhere(self, folder: Path) -> None:
        (folder / "rec.onnx").unlink()
        (folder / "rec.onnx").symlink_to("gone.onnx")
        assert "cannot be read" in refusal(folder)

    def test_the_second_form_of_packs(self, folder: Path) -> None:
        (folder / "manifest.json").write_text('{"manifest_version": 2}', encoding="utf-8")
        assert "second form" in refusal(folder)

    def test_weights_that_are_no_network_inside(self, folder: Path) -> None:
        """The graph is well described, and ONNX Runtime cannot run it."""
        broken = recogniser()
        broken.graph.node[0].op_type = "NoSuchOperation"
        save(broken, folder / "rec.onnx")
        with pytest.raises(FacePackRejected, match=r"rec\.onnx does not work") as caught:
            FaceAnalyser.of_pack(find_face_pack(folder), device="cpu").load()
        assert "\n" not in str(caught.value)

    def test_what_is_wrong_with_a_bundles_pack_is_wrong_with_the_bundle(
        self, tiny_bundle: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(tiny_bundle, tmp_path / "tiny")
        bundle = open_bundle(tmp_path / "tiny")
        (tmp_path / "tiny" / "faces" / "det.onnx").unlink()
        with pytest.raises(BundleCorrupt, match=r"no detector .*; restore the bundle 'tiny'"):
            FaceAnalyser(bundle, "cpu").load()
