"""The identity store: a face is known by its picture and by everything that analysed it."""

import numpy as np
import pytest

from cache import Digest, IdentityKey, IdentityStore, digest, digest_array

Faces = tuple[bytes, ...]
PICTURE = digest_array(np.zeros((8, 8, 3), np.uint8))


def store(max_bytes: int = 1 << 20) -> IdentityStore[Faces]:
    return IdentityStore(max_bytes, size_of=lambda faces: sum(map(len, faces)))


def analyser(threshold: float = 0.5, weights: str = "sha256:1") -> Digest:
    return digest({"weights": weights, "threshold": threshold, "size": [640, 640]})


def test_a_changed_threshold_or_weight_finds_no_old_faces() -> None:
    faces = store()
    faces.remember(IdentityKey(PICTURE, analyser()), (b"face",))
    assert faces.find(IdentityKey(PICTURE, analyser())) == (b"face",)
    assert faces.find(IdentityKey(PICTURE, analyser(threshold=0.3))) is None
    assert faces.find(IdentityKey(PICTURE, analyser(weights="sha256:2"))) is None


def test_a_picture_is_analysed_once() -> None:
    faces, calls = store(), []

    def analyse() -> Faces:
        calls.append(1)
        return (b"face",)

    key = IdentityKey(PICTURE, analyser())
    assert [faces.find_or_analyse(key, analyse) for _ in range(3)] == [(b"face",)] * 3
    assert len(calls) == 1
    assert faces.statistics().hits == 2


def test_finding_nothing_is_remembered_and_takes_room() -> None:
    faces = store()
    key = IdentityKey(PICTURE, analyser())
    faces.remember(key, ())
    assert faces.find(key) == ()
    assert faces.statistics().size_bytes > 0


def test_a_failed_analysis_is_not_remembered() -> None:
    faces = store()
    key = IdentityKey(PICTURE, analyser())

    def fail() -> Faces:
        raise OSError("no detector")

    with pytest.raises(OSError, match="no detector"):
        faces.find_or_analyse(key, fail)
    assert faces.find_or_analyse(key, lambda: (b"face",)) == (b"face",)


def test_the_budget_holds() -> None:
    faces = store(max_bytes=3000)
    for number in range(20):
        faces.remember(IdentityKey(digest(number), analyser()), (bytes(500),))
    assert faces.statistics().size_bytes <= 3000
    assert faces.find(IdentityKey(digest(19), analyser())) is not None
    assert faces.find(IdentityKey(digest(0), analyser())) is None


def test_what_is_larger_than_the_budget_is_still_given() -> None:
    faces = store(max_bytes=100)
    key = IdentityKey(PICTURE, analyser())
    assert faces.find_or_analyse(key, lambda: (bytes(500),)) == (bytes(500),)
    assert faces.find(key) is None


def test_namespaces_share_no_faces_and_are_forgotten_one_by_one() -> None:
    faces = store()
    keys = [IdentityKey(PICTURE, analyser(), space) for space in ((), ("one",), ("two",))]
    faces.remember(keys[1], (b"face",))
    assert [faces.find(key) for key in keys] == [None, (b"face",), None]
    for key in keys:
        faces.remember(key, ())
    assert (faces.clear(("one",)), faces.clear(("one",))) == (1, 0)
    assert [faces.find(key) for key in keys] == [(), None, ()]
    assert faces.clear() == 2
