"""A bundle is found by name or place, whole and unchanged, or refused with the file that is not."""

import shutil
from pathlib import Path

import pytest

from models import (
    Bundle,
    BundleCorrupt,
    BundleDescription,
    BundleNotFound,
    ComponentDescription,
    ComponentKind,
    list_bundles,
    open_bundle,
    seal_bundle,
    verify_bundle,
)


def describe(name: str = "sketch") -> BundleDescription:
    kinds = {"pipeline": ComponentKind.PIPELINE, "judges": ComponentKind.JUDGES}
    parts = tuple(
        ComponentDescription(
            name=part, path=part, kind=kind, source="here", revision="1", licence="Apache-2.0"
        )
        for part, kind in kinds.items()
    )
    return BundleDescription(
        name=name, title="A sketch", licence="Apache-2.0", size=128, component=parts
    )


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own directory of bundles."""
    monkeypatch.setenv("LIMNER_BUNDLES", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def sketch(shelf: Path) -> Bundle:
    """A sealed bundle of a few small files."""
    directory = shelf / "sketch"
    for name in ("pipeline/unet/config.json", "pipeline/model_index.json", "judges/judges.toml"):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}", encoding="utf-8")
    (directory / "pipeline" / ".cache").write_text("not part of it", encoding="utf-8")
    return seal_bundle(directory, describe())


class TestFinding:
    def test_by_name_by_path_and_by_text(self, sketch: Bundle) -> None:
        for where in ("sketch", sketch.directory, str(sketch.directory), f"{sketch.directory}/"):
            assert open_bundle(where).digest == sketch.digest

    def test_relative_paths(self, sketch: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(sketch.directory.parent)
        monkeypatch.setenv("LIMNER_BUNDLES", "/nowhere")
        for where in ("sketch", "./sketch"):
            assert open_bundle(where).name == "sketch"

    def test_listed_with_the_packaged_ones(self, sketch: Bundle) -> None:
        assert "sketch" in list_bundles()
        assert list(list_bundles()) == sorted(list_bundles())

    def test_the_users_directory_without_the_variable(
        self, sketch: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("LIMNER_BUNDLES")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        shutil.copytree(sketch.directory, tmp_path / "limner" / "bundles" / "other")
        assert "other" in list_bundles()

    @pytest.mark.parametrize("name", ["nobody", "", "./nobody", "/nowhere/nobody", "a\0b"])
    def test_an_unknown_one_names_those_that_are_known(self, sketch: Bundle, name: str) -> None:
        with pytest.raises(BundleNotFound, match="sketch"):
            open_bundle(name)

    def test_a_tilde_that_is_nobodys_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIMNER_BUNDLES", "~nosuchuser/bundles")
        with pytest.raises(BundleNotFound, match="~nosuchuser/tiny"):
            open_bundle("~nosuchuser/tiny")

    def test_a_public_one_says_how_to_fetch_it(self, shelf: Path) -> None:
        with pytest.raises(BundleNotFound, match="limner models pull sd15-faceid"):
            open_bundle("sd15-faceid")

    def test_a_directory_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(BundleNotFound, match=r"no bundle\.toml"):
            open_bundle(tmp_path)

    def test_described_but_never_fetched(self, sketch: Bundle) -> None:
        for file, _ in sketch.files():
            file.unlink()
        with pytest.raises(BundleNotFound, match="limner models pull sketch"):
            open_bundle("sketch")


class TestChecking:
    def test_verifies_when_whole(self, sketch: Bundle) -> None:
        seen: list[tuple[str, int]] = []
        assert verify_bundle(sketch, lambda path, size: seen.append((path, size))) == 3
        assert sum(size for _, size in seen) == sum(record.bytes for _, record in sketch.files())

    def test_hidden_files_are_no_part_of_it(self, sketch: Bundle) -> None:
        assert not any(".cache" in str(path) for path, _ in sketch.files())

    def test_a_missing_file_is_named(self, sketch: Bundle) -> None:
        (sketch.directory / "judges" / "judges.toml").unlink()
        with pytest.raises(BundleCorrupt, match=r"judges\.toml is missing; "):
            open_bundle("sketch")

    def test_a_truncated_file_is_named_without_reading_it_all(self, sketch: Bundle) -> None:
        (sketch.directory / "pipeline" / "model_index.json").write_text("short", encoding="utf-8")
        with pytest.raises(
            BundleCorrupt, match=r"model_index\.json has 5 bytes, the manifest says"
        ):
            open_bundle("sketch")

    def test_a_changed_byte_is_found_by_verifying(self, sketch: Bundle) -> None:
        file = sketch.directory / "pipeline" / "model_index.json"
        data = bytearray(file.read_bytes())
        data[3] ^= 1
        file.write_bytes(data)
        bundle = open_bundle("sketch")
        with pytest.raises(BundleCorrupt, match=r"model_index\.json has sha256"):
            verify_bundle(bundle)
        with pytest.raises(BundleCorrupt, match=r"model_index\.json has sha256"):
            open_bundle("sketch", verify=True)

    def test_a_file_replaced_by_a_folder(self, sketch: Bundle) -> None:
        file = sketch.directory / "judges" / "judges.toml"
        file.unlink()
        file.mkdir()
        with pytest.raises(BundleCorrupt, match="missing"):
            open_bundle("sketch")

    def test_a_missing_component_is_named(self, sketch: Bundle) -> None:
        assert not sketch.has(ComponentKind.FACES)
        with pytest.raises(BundleCorrupt, match="insightface-pack"):
            sketch.path(ComponentKind.FACES)


class TestSealing:
    def test_the_same_content_has_the_same_digest_anywhere(
        self, sketch: Bundle, tmp_path: Path
    ) -> None:
        copy = tmp_path / "elsewhere"
        shutil.copytree(sketch.directory, copy)
        assert seal_bundle(copy, describe("copy")).digest == sketch.digest

    def test_another_content_has_another_digest(self, sketch: Bundle) -> None:
        (sketch.directory / "judges" / "judges.toml").write_text("new", encoding="utf-8")
        resealed = seal_bundle(sketch.directory, describe())
        assert resealed.digest != sketch.digest
        kinds = (ComponentKind.PIPELINE,)
        assert resealed.component_digest(*kinds) == sketch.component_digest(*kinds)

    def test_another_scale_of_a_lora_is_another_content(self, shelf: Path) -> None:
        digests = set()
        for scale in (1.0, 0.5):
            directory = shelf / f"styled-{scale}"
            for name in ("pipeline/model_index.json", "style/style.safetensors"):
                (directory / name).parent.mkdir(parents=True)
                (directory / name).write_text("the same", encoding="utf-8")
            style = ComponentDescription(
                name="style", path="style", kind=ComponentKind.LORA, source="here", revision="1",
                licence="Apache-2.0", scale=scale,
            )  # fmt: skip
            parts = (describe().component[0], style)
            bundle = seal_bundle(directory, describe().model_copy(update={"component": parts}))
            assert [part.scale for part in bundle.components_of(ComponentKind.LORA)] == [scale]
            digests |= {bundle.digest, bundle.component_digest(ComponentKind.LORA)}
        assert len(digests) == 4

    def test_the_card_is_measured_later_and_changes_nothing(self, sketch: Bundle) -> None:
        assert not sketch.card.exists()
        sketch.card.write_text("{}", encoding="utf-8")
        assert open_bundle("sketch", verify=True).digest == sketch.digest

    def test_what_was_not_built_is_named(self, sketch: Bundle) -> None:
        shutil.rmtree(sketch.directory / "judges")
        with pytest.raises(BundleCorrupt, match="'judges' first"):
            seal_bundle(sketch.directory, describe())
        with pytest.raises(BundleNotFound, match="not a directory"):
            seal_bundle(sketch.directory / "nowhere", describe())
