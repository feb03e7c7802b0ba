"""What a fusion keeps: views read from five points, answers beside what was asked."""

from dataclasses import replace

import numpy as np
import pytest

from eval.answers import COLOURS, accuracy, all_as_asked, asked, mean_accuracy, mistakes
from eval.metrics import ratio, ratio_interval
from eval.people import held_out_people, snapshot
from eval.pose import UNSEEN_DEGREES, PoseReader, fit_pose, true_pose
from world import LABELS, Look


@pytest.fixture(scope="module")
def views() -> list[tuple[np.ndarray, Look]]:
    rng = np.random.default_rng(0)
    photos = [snapshot(person, rng, 64) for person in held_out_people(200, 330_000)]
    return [(photo.landmarks, photo.look) for photo in photos]


@pytest.fixture(scope="module")
def reader(views: list[tuple[np.ndarray, Look]]) -> PoseReader:
    known = views[:150]
    return fit_pose([points for points, _ in known], [true_pose(look) for _, look in known])


class TestViews:
    def test_true_landmarks_tell_yaw_and_roll_of_people_never_fitted(
        self, reader: PoseReader, views: list[tuple[np.ndarray, Look]]
    ) -> None:
        errors = np.stack([reader.error(points, look) for points, look in views[150:]])
        assert (errors.mean(axis=0) < (1.0, 0.5)).all()
        spread = np.std([true_pose(look) for _, look in views], axis=0)
        assert (errors.mean(axis=0) < spread / 4).all()

    def test_place_and_size_of_a_face_do_not_matter(
        self, reader: PoseReader, views: list[tuple[np.ndarray, Look]]
    ) -> None:
        points, _ = views[180]
        assert reader.read(3 * points + 17) == pytest.approx(reader.read(points), abs=0.05)

    def test_another_view_is_an_error_and_no_face_a_large_one(
        self, reader: PoseReader, views: list[tuple[np.ndarray, Look]]
    ) -> None:
        points, look = views[180]
        turned = replace(look, yaw=look.yaw + 0.3)
        near, far = (reader.error(points, one)[0] for one in (look, turned))
        assert abs(far - near) > 10
        assert reader.error(None, look).tolist() == [UNSEEN_DEGREES] * 2


class TestAnswers:
    truth = (
        {"hair": "black", "clothing": "red", "background": "blue"},
        {"hair": None, "clothing": "red", "background": "pink"},
        {"hair": "blond", "clothing": "teal", "background": "blue"},
    )
    seen = (
        {"hair": "black", "clothing": "red", "background": "blue"},
        {"hair": "ginger", "clothing": "red", "background": "pink"},
        {"hair": "blond", "clothing": "red", "background": "blue"},
    )

    def test_all_colours_are_right_or_the_picture_is_wrong(self) -> None:
        assert all_as_asked(self.truth, self.seen, COLOURS) == [True, True, False]

    def test_a_colour_belongs_to_one_thing_only(self) -> None:
        assert set(COLOURS) <= set(LABELS)
        words = [word for head in COLOURS for word in LABELS[head]]
        assert len(set(words)) == len(words)

    def test_what_is_not_shown_is_not_asked(self) -> None:
        assert [asked(self.truth, head) for head in COLOURS] == [2, 3, 3]
        assert accuracy(self.truth, self.seen, "hair") == 1.0
        assert accuracy(self.truth, self.seen, "clothing") == 0.5
        assert mean_accuracy(self.truth, self.seen, COLOURS) == pytest.approx(2.5 / 3)
        assert mistakes(self.truth, self.seen, "clothing") == "teal → red 1×"


def test_a_ratio_of_means_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    whole = rng.uniform(0.5, 1, 200)
    part = whole * 0.8 + rng.normal(0, 0.05, 200)
    interval = ratio_interval(part, whole)
    assert interval is not None
    assert interval[0] < ratio(part, whole) == pytest.approx(0.8, abs=0.02)
    assert interval[1] > ratio(part, whole)
    assert ratio_interval(part[:1], whole[:1]) is None
