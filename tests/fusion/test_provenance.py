"""A saved picture says that it was generated; it is written whole or not at all."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion import (
    Engine,
    FusionRequest,
    FusionResult,
    Identity,
    InvalidRequest,
    PictureKind,
    encode,
    read_labels,
    save,
)
from tests.fusion.conftest import painting, unit


@pytest.fixture(scope="module")
def result(engine: Engine) -> FusionResult:
    people = (
        Identity(embedding=unit(1), weight=0.7),
        Identity(image=painting(1), weight=0.3),
    )
    return engine.fuse(FusionRequest(identities=people, attributes={"age": 40}, count=2, steps=2))


def test_a_png_is_labelled_with_what_drew_it(result: FusionResult, tmp_path: Path) -> None:
    path = save(result, tmp_path / "out.png", 1)
    labels = read_labels(path)
    assert labels["Limner"] == "AI-generated"
    parameters = json.loads(labels["Limner parameters"])
    assert parameters["seed"] == 8
    assert parameters["prompt"] == "person portrait, age 40"
    assert parameters["weights"] == [0.7, 0.3]
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(result.images[1]))


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
def test_every_format_carries_the_source_type(
    result: FusionResult, tmp_path: Path, name: str
) -> None:
    path = save(result, tmp_path / name)
    assert b"trainedAlgorithmicMedia" in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_fusion_into_a_target_is_a_composite(engine: Engine, tmp_path: Path) -> None:
    fused = engine.fuse(FusionRequest(target=painting(2), steps=1))
    data = save(fused, tmp_path / "out.png").read_bytes()
    assert b"compositeWithTrainedAlgorithmicMedia" in data


def test_no_label_names_a_person(engine: Engine, tmp_path: Path) -> None:
    photo = tmp_path / "jane-doe.png"
    Image.fromarray(painting(3)).save(photo)
    fused = engine.fuse(FusionRequest(identities=(Identity(image=photo),), steps=1))
    assert b"jane-doe" not in save(fused, tmp_path / "out.png").read_bytes()


def test_a_picture_is_as_readable_as_any_new_file(result: FusionResult, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert save(result, tmp_path / "out.png").stat().st_mode == plain.stat().st_mode


def test_another_format_is_refused(result: FusionResult, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"\.png"):
        save(result, tmp_path / "out.bmp")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_and_no_debris(
    result: FusionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save(result, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("kind", "name"), [("png", "a.png"), ("jpeg", "a.jpg"), ("webp", "a.webp")]
)
def test_encoded_bytes_are_those_of_the_saved_file(
    result: FusionResult, tmp_path: Path, kind: PictureKind, name: str
) -> None:
    data = encode(result, 1, kind)
    assert data == save(result, tmp_path / name, 1).read_bytes()
    assert Image.open(io.BytesIO(data)).format == kind.upper()
    assert b"trainedAlgorithmicMedia" in data


@pytest.mark.parametrize("size", [(256, 192), (64, 64), (128, 128)])
def test_a_picture_is_brought_to_another_size_and_stays_labelled(
    result: FusionResult, size: tuple[int, int]
) -> None:
    image = Image.open(io.BytesIO(encode(result, size=size)))
    assert image.size == size
    assert image.info["Limner"] == "AI-generated"
    wanted = result.images[0].resize(size, Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(image), np.asarray(wanted))


def test_less_quality_takes_fewer_bytes(result: FusionResult) -> None:
    kinds: list[PictureKind] = ["jpeg", "webp"]
    for kind in kinds:
        assert len(encode(result, kind=kind, quality=30)) < len(encode(result, kind=kind))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kind": "bmp"}, "bmp"),
        ({"quality": 0}, "quality is 0"),
        ({"quality": 101}, "quality is 101"),
        ({"size": (0, 128)}, "0×128"),
        ({"size": (128, 10_000)}, "128×10000"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    result: FusionResult, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        encode(result, **given)
