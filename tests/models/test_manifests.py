"""bundle.toml says what a bundle is, in so many words, and nothing else is understood."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models import (
    BundleCorrupt,
    BundleDescription,
    BundleManifest,
    ComponentDescription,
    ComponentKind,
    Defaults,
    Draws,
    FacesSettings,
    FewSteps,
)
from models.manifest import Component, FileRecord, read_manifest, write_manifest


def component(name: str = "pipeline", **changes: object) -> Component:
    fields: dict[str, object] = {
        "name": name,
        "path": name,
        "kind": ComponentKind.PIPELINE,
        "source": "here",
        "revision": "1",
        "licence": "Apache-2.0",
        "files": {"unet/config.json": FileRecord(sha256="0" * 64, bytes=3)},
    }
    return Component(**{**fields, **changes})  # type: ignore[arg-type]


def manifest(**changes: object) -> BundleManifest:
    fields: dict[str, object] = {
        "name": "sketch",
        "title": "A sketch",
        "licence": "Apache-2.0",
        "size": 128,
        "faces": FacesSettings(detector_sizes=((128, 128), (640, 640))),
        "component": (component(),),
    }
    return BundleManifest(**{**fields, **changes})  # type: ignore[arg-type]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(words, words, words, st.floats(0, 50), st.integers(1, 1000))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    title: str,
    hint: str,
    source: str,
    guidance_scale: float,
    steps: int,
) -> None:
    file = tmp_path_factory.mktemp("manifest") / "bundle.toml"
    path = 'unet/a "strange" näme.json'
    files = {path: FileRecord(sha256="a" * 64, bytes=0)}
    sizes = ((128, 128), (640, 640))
    written = manifest(
        title=title,
        faces=FacesSettings(detector_sizes=sizes, embedding_norms=(1.5, guidance_scale)),
        draws=Draws(people="drawn", hint=hint),
        defaults=Defaults(steps=steps, guidance_scale=guidance_scale),
        component=(component(source=source, files=files), component("b", kind="judges")),
    )
    write_manifest(file, written)
    assert read_manifest(file) == written


def test_nothing_is_left_behind_by_writing(tmp_path: Path) -> None:
    write_manifest(tmp_path / "bundle.toml", manifest())
    assert [file.name for file in tmp_path.iterdir()] == ["bundle.toml"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("size = 128", "size = 100", "size"),
        ("size = 128", "size = 128\ncolour = 3", "colour"),
        ("schema = 1", "schema = 2", "schema 2 is not known"),
        ('name = "sketch"', 'name = "../sketch"', "name"),
        ("steps = 20", "steps = 0", "defaults.steps"),
        ("strength = 0.6", "strength = 1.5", "defaults.strength"),
        ("[[128, 128]", "[[130, 128]", "detector_sizes"),
        ('kind = "diffusers-pipeline"', 'kind = "pickle"', "component.0.kind"),
        ('path = "pipeline"', 'path = "../../etc"', "component.0.path"),
        ('path = "pipeline"', 'path = "/etc"', "component.0.path"),
        ('"unet/config.json"', '"../config.json"', "component.0.files"),
        ('sha256 = "0', 'sha256 = "X', "sha256"),
        ("[draws]", "[draws", "cannot be read"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    file = tmp_path / "bundle.toml"
    write_manifest(file, manifest())
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BundleCorrupt) as caught:
        read_manifest(file)
    assert str(file) in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bundle.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleCorrupt, match="cannot be read"):
        read_manifest(file)


def test_components_are_one_of_each_kind_and_name() -> None:
    with pytest.raises(ValidationError, match="same kind"):
        manifest(component=(component(), component("other")))
    with pytest.raises(ValidationError, match="same name"):
        manifest(component=(component(), component(kind=ComponentKind.CLIP)))
    with pytest.raises(ValidationError, match="diffusers-pipeline"):
        manifest(component=(component(kind=ComponentKind.CLIP),))


def lora(name: str, **changes: object) -> Component:
    files = {f"{name}.safetensors": FileRecord(sha256="1" * 64, bytes=3)}
    return component(name, **{"kind": ComponentKind.LORA, "files": files, **changes})


def test_there_may_be_several_lora_each_with_its_scale(tmp_path: Path) -> None:
    written = manifest(component=(component(), lora("fast"), lora("style", scale=0.5)))
    write_manifest(tmp_path / "bundle.toml", written)
    assert read_manifest(tmp_path / "bundle.toml") == written
    assert (tmp_path / "bundle.toml").read_text().count("\nscale = ") == 1


def test_a_lora_is_one_safetensors_file_and_nothing_else_has_a_scale() -> None:
    record = FileRecord(sha256="1" * 64, bytes=3)
    for files in ({"a.bin": record}, {"a.safetensors": record, "b.safetensors": record}):
        with pytest.raises(ValidationError, match="exactly one safetensors"):
            lora("fast", files=files)
    with pytest.raises(ValidationError, match="has a scale"):
        component(scale=0.5)
    with pytest.raises(ValidationError, match="scale"):
        lora("fast", scale=float("nan"))


def test_the_bundle_that_ships_is_written_as_it_stands(mini_bundle: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "bundle.toml", read_manifest(mini_bundle / "bundle.toml"))
    assert (tmp_path / "bundle.toml").read_text() == (mini_bundle / "bundle.toml").read_text()


def test_few_steps_are_few_and_of_a_scheduler_that_is_known(tmp_path: Path) -> None:
    few = FewSteps(steps=4, scheduler="dpm++2m")
    said = manifest(defaults=Defaults(few_steps=few))
    write_manifest(tmp_path / "bundle.toml", said)
    assert read_manifest(tmp_path / "bundle.toml").defaults.few_steps == few
    assert manifest().defaults.few_steps is None
    for wrong in ({"steps": 0, "scheduler": "ddim"}, {"steps": 4, "scheduler": "best"}):
        with pytest.raises(ValidationError):
            FewSteps.model_validate(wrong)


def test_a_face_pack_needs_its_settings() -> None:
    part = ComponentDescription(
        name="faces", path="faces", kind=ComponentKind.FACES, source="", revision="", licence=""
    )
    pipeline = ComponentDescription(**component().model_dump(exclude={"files"}))
    with pytest.raises(ValidationError, match=r"\[faces\]"):
        BundleDescription(
            name="a", title="", licence="", size=64, faces=None, component=(pipeline, part)
        )
