"""Any InsightFace pack is found, by its folder or by its name."""

import shutil
from pathlib import Path

import pytest

from models import FaceAnalyser, NetworkKind, find_face_pack, open_bundle
from tests.models.face_packs.looking import refusal


class TestFinding:
    def test_a_folder(self, folder: Path) -> None:
        pack = find_face_pack(folder)
        assert (pack.name, pack.directory) == ("small", folder)
        assert pack.detector.path.name == "det.onnx"
        assert pack.recogniser.path.name == "rec.onnx"

    def test_every_network_is_told_by_its_graph(self, folder: Path) -> None:
        kinds = {file.path.name: file.kind for file in find_face_pack(str(folder)).others}
        assert kinds == {
            "2d106det.onnx": NetworkKind.LANDMARKS,
            "genderage.onnx": NetworkKind.ATTRIBUTES,
            "inswapper_128.onnx": NetworkKind.SWAPPER,
        }

    @pytest.mark.parametrize("inner", ["antelopev2", "antelopev2/antelopev2", "models/buffalo_l"])
    def test_as_deep_as_archives_unpack(self, folder: Path, tmp_path: Path, inner: str) -> None:
        """antelopev2's archive holds a folder of its own, and the library finds no model in it."""
        shutil.move(folder, tmp_path / "given" / inner)
        pack = find_face_pack(tmp_path / "given")
        assert pack.directory == tmp_path / "given" / inner
        FaceAnalyser.of_pack(pack, device="cpu").load()

    def test_several_below_are_listed(self, folder: Path, tmp_path: Path) -> None:
        for name in ("a", "b"):
            shutil.copytree(folder, tmp_path / "root" / "models" / name)
        message = refusal(tmp_path / "root")
        assert "2 packs: models/a, models/b" in message
        assert find_face_pack(tmp_path / "root" / "models" / "b").name == "b"

    @pytest.mark.parametrize("place", [".insightface/models/mine", ".insightface/models/mine/mine"])
    def test_a_name_under_the_home(self, folder: Path, home: Path, place: str) -> None:
        shutil.move(folder, home / place)
        assert find_face_pack("mine").directory == home / place

    @pytest.mark.parametrize("place", ["models/mine", "mine"])
    def test_a_name_under_the_users_own_root_first(
        self, folder: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        shutil.copytree(folder, home / ".insightface" / "models" / "mine")
        shutil.move(folder, tmp_path / "roots" / place)
        monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "roots"))
        assert find_face_pack("mine").directory == tmp_path / "roots" / place

    def test_a_name_in_the_working_directory(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder.parent)
        assert find_face_pack("small").detector.path == Path("small/det.onnx")

    def test_a_bundle_by_name_and_by_directory_with_its_settings(
        self, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIMNER_BUNDLES", str(tiny_bundle.parent))
        for given_name in ("tiny", str(tiny_bundle)):
            pack = find_face_pack(given_name)
            assert pack.directory == tiny_bundle / "faces"
            assert pack.settings == open_bundle(tiny_bundle).manifest.faces

    def test_hidden_files_of_other_systems_are_passed_over(self, folder: Path) -> None:
        (folder / "._rec.onnx").write_bytes(b"\0\5\x16\7")
        (folder / "__MACOSX").mkdir()
        find_face_pack(folder)

    def test_an_unknown_name_says_where_it_was_looked_for(self, home: Path) -> None:
        message = refusal("buffalo_l")
        assert str(home / ".insightface" / "models") in message
        assert "INSIGHTFACE_HOME" in message
        assert not home.exists(), "the library would have made it and begun to fetch"

    @pytest.mark.parametrize("name", ["/no/such/folder", "~/nothing", "", "a/b"])
    def test_a_folder_that_is_not_there(self, name: str) -> None:
        assert "there is no" in refusal(name)
