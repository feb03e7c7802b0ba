"""What the tests of packs look at and look for."""

from pathlib import Path

import numpy as np
import pytest

from models import FacePackRejected, find_face_pack


def refusal(name_or_place: str | Path) -> str:
    """What is said of a pack that is refused."""
    with pytest.raises(FacePackRejected) as caught:
        find_face_pack(name_or_place)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "says what to do"
    return message


def bright(side: int, x: int = 0, y: int = 0, size: tuple[int, int] = (640, 640)) -> np.ndarray:
    """A bright square on black, which the detector of any size takes for a face."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - side) // 2 + x, (size[1] - side) // 2 + y
    image[top : top + side, left : left + side] = 255
    return image
