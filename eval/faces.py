"""What the bundle's face analysis reaches: recogniser and detector on people never trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.bench import EMBEDDING_WIDTH, Bench, best_face
from eval.card import Chapter, Figure
from eval.judges import RecogniserJudge
from eval.metrics import mean_interval, placements, share_interval, threshold_at_far
from eval.people import held_out_people, snapshot
from models import BundleCorrupt, ComponentKind, align_face
from world import HELD_OUT, render_group, sample_look

FAR = 1e-3
MATCH_IOU = 0.5  # a detection that overlaps a true box by at least this much has found it
_FIRST_RECOGNISED, _FIRST_DETECTED = 20_000, 40_000  # held-out seeds of this module's people
# (width, height) in pixels of the pictures of one, two, three and four people.
_GROUP_SIZES = ((256, 256), (384, 256), (512, 320), (640, 384))


@dataclass(frozen=True)
class Verification:
    """Scores of pairs of pictures: the same person; others; others of the same gender."""

    genuine: NDArray[np.float32]  # [people, pairs of one person's pictures]
    impostor: NDArray[np.float32]
    same_gender: NDArray[np.float32]


def verification(embeddings: NDArray[np.float32], genders: Sequence[str]) -> Verification:
    """Cosines of all pairs. embeddings: unit, float32 [people, pictures, 512]."""
    people, pictures, width = embeddings.shape
    cosines = embeddings.reshape(-1, width) @ embeddings.reshape(-1, width).T
    blocks = cosines.reshape(people, pictures, people, pictures).transpose(0, 2, 1, 3)
    first, second = np.triu_indices(pictures, k=1)
    genuine = blocks[np.arange(people), np.arange(people)][:, first, second]
    rows, columns = np.triu_indices(people, k=1)
    impostor = blocks[rows, columns].reshape(len(rows), -1)
    gender = np.array(genders)
    alike = impostor[gender[rows] == gender[columns]]
    return Verification(genuine, impostor.ravel(), alike.ravel())


def measure_recogniser(bench: Bench) -> Chapter:
    """AUC and TAR at FAR 1e-3 of the bundle's recogniser, with true and with found landmarks."""
    extent = bench.extent
    people = held_out_people(extent.recogniser_people, _FIRST_RECOGNISED)
    own = RecogniserJudge(recogniser_file(bench.bundle.path(ComponentKind.FACES)))
    rng = np.random.default_rng([HELD_OUT, _FIRST_RECOGNISED])
    shape = (len(people), extent.recogniser_pictures, EMBEDDING_WIDTH)
    by_truth, by_detector, by_judge = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    for index, person in enumerate(bench.track(people, "recogniser")):
        photos = [snapshot(person, rng) for _ in range(extent.recogniser_pictures)]
        crops = [align_face(photo.image, photo.landmarks) for photo in photos]
        by_truth[index] = own.embed_crops(crops)
        by_judge[index] = bench.judges.recogniser.embed_crops(crops)
        for number, photo in enumerate(photos):
            faces = bench.analyser.analyse(photo.image)
            if faces:
                by_detector[index, number] = best_face(faces).embedding
    genders = [person.gender for person in people]
    true, found = verification(by_truth, genders), verification(by_detector, genders)
    judged = verification(by_judge, genders)
    figures = (
        _auc("recogniser_auc", "AUC, true landmarks", true, 0.9995),
        _tar("recogniser_tar", "TAR at FAR 1e-3, true landmarks", true, 0.97),
        _auc("recogniser_auc_detector", "AUC, the detector's landmarks", found, 0.99),
        _tar("recogniser_tar_detector", "TAR at FAR 1e-3, the detector's landmarks", found, None),
        _auc("recogniser_auc_gender", "AUC, true landmarks, same gender", true, None, True),
        _tar("recogniser_tar_gender", "TAR, true landmarks, same gender", true, None, True),
        _auc("judge_auc", "the judge's own AUC, true landmarks", judged, None),
        _tar("judge_tar", "the judge's own TAR at FAR 1e-3", judged, None),
    )
    method = (
        f"{len(people)} people, {extent.recogniser_pictures} photos of each in looks of chance; "
        f"{true.genuine.size:,} pairs of one person against {true.impostor.size:,} of two. "
        "A photo without a face found counts as similarity 0."
    )
    return Chapter(key="recogniser", title="Recogniser", method=method, figures=figures)


def measure_detector(bench: Bench) -> Chapter:
    """Recall, false detections and landmark error in pictures of one to four people."""
    rng = np.random.default_rng([HELD_OUT, _FIRST_DETECTED])
    people = iter(held_out_people(4 * bench.extent.groups, _FIRST_DETECTED))
    recalls, false, detections = [], 0, 0
    errors: list[float] = []
    by_count: dict[int, list[bool]] = {count: [] for count in range(1, 5)}
    for number in bench.track(range(bench.extent.groups), "detector"):
        count = 1 + number % 4
        cast = [next(people) for _ in range(count)]
        looks = [sample_look(rng, person) for person in cast]
        group = render_group(cast, looks, _GROUP_SIZES[count - 1], rng)
        faces = bench.analyser.analyse(group.image)
        boxes = np.array([face.box for face in faces], dtype=np.float32).reshape(-1, 4)
        matches = match_boxes(group.boxes, boxes)
        hits = [index in matches for index in range(count)]
        recalls += hits
        by_count[count] += hits
        detections += len(faces)
        false += len(faces) - len(matches)
        errors += [
            landmark_error(group.landmarks[true], faces[found].landmarks)
            for true, found in matches.items()
        ]
    total = len(recalls)
    recall = share_interval(sum(recalls), total)
    wrong = share_interval(false, max(detections, 1))
    error = float(np.mean(errors)) if errors else 1.0
    by_number = ", ".join(
        f"{number}: {100 * np.mean(hits):.1f} %" for number, hits in by_count.items() if hits
    )
    figures = (
        Figure(
            key="detector_recall", title="faces found", value=float(np.mean(recalls)), unit="share",
            digits=4, interval=recall, bar=0.99, count=total,
            note=f"by number of people: {by_number}",
        ),
        Figure(
            key="detector_false", title="false among detections", value=false / max(detections, 1),
            unit="share", digits=4, interval=wrong, bar=0.005, wanted="at most",
            count=detections,
        ),
        Figure(
            key="detector_landmarks", title="mean landmark error over eye distance", value=error,
            unit="share", digits=4, bar=0.04, wanted="at most", count=len(errors),
            interval=mean_interval(np.array(errors)),
            note="" if errors else "no face was found, so the worst is taken",
        ),
    )  # fmt: skip
    method = (
        f"{bench.extent.groups} pictures of one to four people, {_GROUP_SIZES[0][0]} to "
        f"{_GROUP_SIZES[-1][0]} pixels wide; found is what overlaps the true box by an IoU of at "
        f"least {MATCH_IOU}, each box once."
    )
    return Chapter(key="detector", title="Detector", method=method, figures=figures)


def match_boxes(truth: NDArray[np.float32], found: NDArray[np.float32]) -> dict[int, int]:
    """Which true box was found by which detection, the largest overlaps first, each used once.

    truth [n, 4] and found [m, 4]: x0, y0, x1, y1.
    """
    if not len(truth) or not len(found):
        return {}
    corner = np.maximum(truth[:, None, :2], found[None, :, :2])
    far_corner = np.minimum(truth[:, None, 2:], found[None, :, 2:])
    shared = np.prod(np.clip(far_corner - corner, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (truth, found)]
    overlap = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    matches: dict[int, int] = {}
    for flat in np.argsort(overlap, axis=None)[::-1]:
        true, detection = divmod(int(flat), len(found))
        if overlap[true, detection] < MATCH_IOU:
            break
        if true not in matches and detection not in matches.values():
            matches[true] = detection
    return matches


def landmark_error(truth: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """Mean distance of five points [5, 2], over the true distance of the eyes."""
    distance = float(np.linalg.norm(truth[1] - truth[0]))
    return float(np.linalg.norm(found - truth, axis=1).mean()) / max(distance, 1e-6)


def recogniser_file(pack: Path) -> Path:
    """The recogniser of an InsightFace pack: the one graph with a single output.

    Raises BundleCorrupt where there is none.
    """
    import onnx

    for file in sorted(pack.glob("*.onnx")):
        if len(onnx.load(file, load_external_data=False).graph.output) == 1:
            return file
    raise BundleCorrupt(f"{pack} holds no recogniser; restore it")


def _auc(
    key: str, title: str, scores: Verification, bar: float | None, same_gender: bool = False
) -> Figure:
    impostor = scores.same_gender if same_gender else scores.impostor
    places = placements(scores.genuine, impostor).reshape(scores.genuine.shape)
    return Figure(
        key=key, title=title, value=float(places.mean()), digits=5, bar=bar,
        interval=mean_interval(places), count=len(places),
    )  # fmt: skip


def _tar(
    key: str, title: str, scores: Verification, bar: float | None, same_gender: bool = False
) -> Figure:
    impostor = scores.same_gender if same_gender else scores.impostor
    accepted = scores.genuine > threshold_at_far(impostor, FAR)
    return Figure(
        key=key, title=title, value=float(accepted.mean()), digits=4, bar=bar,
        interval=mean_interval(accepted), count=len(accepted),
    )  # fmt: skip
