"""Judges: aligned as InsightFace aligns, fed as judges.toml says, refused when they do not fit."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from eval import JudgesNotFound, open_judges
from eval.judges import read_description
from models import Bundle, BundleCorrupt, ComponentKind, align_face, open_bundle
from world import LABELS, render, sample_look, sample_person


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def portraits() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    drawn = []
    for seed in range(5):
        person = sample_person(1_000_000 + seed)
        portrait = render(person, sample_look(rng, person), 160)
        drawn.append((portrait.image, portrait.landmarks))
    return drawn


class TestRecogniser:
    def test_embeddings_have_unit_length_and_are_the_networks_own(
        self, bundle: Bundle, portraits: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        images, landmarks = zip(*portraits, strict=True)
        embeddings = open_judges(bundle).recogniser.embed(images, landmarks)
        assert embeddings.shape == (5, 512)
        assert np.linalg.norm(embeddings, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
        crop = align_face(images[0], landmarks[0]).astype(np.float32)
        session = onnxruntime.InferenceSession(
            bundle.path(ComponentKind.JUDGES) / "recogniser.onnx",
            providers=["CPUExecutionProvider"],
        )
        entry = ((crop - 127.5) / 127.5).transpose(2, 0, 1)[None]
        raw = session.run(None, {session.get_inputs()[0].name: entry})[0][0]
        assert embeddings[0] == pytest.approx(raw / np.linalg.norm(raw), abs=1e-5)

    def test_a_batch_changes_nothing(
        self, bundle: Bundle, portraits: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        judge = open_judges(bundle).recogniser
        images, landmarks = zip(*portraits, strict=True)
        together = judge.embed(images, landmarks)
        alone = np.concatenate([judge.embed([i], [p]) for i, p in portraits])
        assert together == pytest.approx(alone, abs=1e-5)


class TestAttributes:
    def test_every_head_answers_with_one_of_its_classes(
        self, bundle: Bundle, portraits: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        judge = open_judges(bundle).attributes
        answers = judge.judge([image for image, _ in portraits])
        assert len(answers) == 5
        for answer in answers:
            assert list(answer) == list(judge.heads)
            assert all(answer[head] in judge.heads[head] for head in answer)

    def test_heads_speak_the_worlds_words(self, bundle: Bundle) -> None:
        for head, classes in open_judges(bundle).attributes.heads.items():
            assert set(classes) <= set(LABELS[head])

    def test_logits_are_split_in_the_order_of_the_heads(
        self, bundle: Bundle, portraits: list[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        judge = open_judges(bundle).attributes
        logits = judge.logits([portraits[0][0]])
        assert [part.shape[1] for part in logits.values()] == [len(c) for c in judge.heads.values()]


class TestRefusals:
    def test_a_bundle_without_judges(self, bundle: Bundle) -> None:
        parts = tuple(c for c in bundle.manifest.component if c.kind is not ComponentKind.JUDGES)
        manifest = bundle.manifest.model_copy(update={"component": parts})
        with pytest.raises(JudgesNotFound, match="has no judges"):
            open_judges(Bundle(bundle.name, bundle.directory, manifest))

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("not toml at all", "cannot be read"),
            ("schema = 1\n", "attributes"),
            ("schema = 9\n[attributes]\nsize = 96\n[attributes.heads]\n", "schema"),
            ("[attributes]\nsize = 96\ncolour = 1\n[attributes.heads]\n", "colour"),
            ('[attributes]\nsize = 96\n[attributes.heads]\nhat = ["yes"]\n', "hat"),
        ],
    )
    def test_a_description_that_does_not_fit(
        self, tmp_path: Path, text: str, complaint: str
    ) -> None:
        file = tmp_path / "judges.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(BundleCorrupt, match=complaint):
            read_description(file)
