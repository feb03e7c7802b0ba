"""Faces that are small in their picture are measured as exactly as large ones."""

from pathlib import Path

import numpy as np

from models import FaceAnalyser, open_bundle
from world import HELD_OUT, render_group, sample_look, sample_person


def test_landmarks_of_a_small_face_are_exact_after_the_second_look(mini_bundle: Path) -> None:
    analyser = FaceAnalyser(open_bundle(mini_bundle))
    rng = np.random.default_rng(3)
    errors = []
    for number in range(6):
        people = [sample_person(HELD_OUT + 600 + 4 * number + k) for k in range(4)]
        looks = [sample_look(rng, person, view="front") for person in people]
        group = render_group(people, looks, (520, 260), rng)
        faces = analyser.analyse(group.image)
        for face in faces:
            distance = np.linalg.norm(group.landmarks.mean(1) - face.landmarks.mean(0), axis=1)
            truth = group.landmarks[int(np.argmin(distance))]
            eyes = float(np.linalg.norm(truth[1] - truth[0]))
            errors.append(float(np.linalg.norm(face.landmarks - truth, axis=1).mean()) / eyes)
    assert len(errors) >= 22
    assert np.mean(errors) <= 0.05
