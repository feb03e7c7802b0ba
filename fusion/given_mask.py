"""A mask that was given: where a target is drawn anew, instead of around its head.

Its edge is softened inwards, so that nothing outside of it changes.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.errors import InvalidRequest
from fusion.mask import BORDER_FADE_SHARE, border_fade, smooth
from fusion.placement import Square

Greys = NDArray[np.uint8]

_MEANT: Final = 128  # greys from here on are drawn anew, darker ones stay


def check_mask(mask: Greys, target_size: tuple[int, int]) -> None:
    """mask: uint8 [height, width], 255 where to draw; target_size: (width, height), upright.

    Raises InvalidRequest for another size than the target's, or where nothing is to be drawn.
    """
    height, width = mask.shape
    if (width, height) != target_size:
        raise InvalidRequest(
            f"the mask has {width}×{height} pixels, the target {target_size[0]}×{target_size[1]}: "
            "give a mask of the target's own size, as it stands upright"
        )
    if not (mask >= _MEANT).any():
        raise InvalidRequest(
            "the mask leaves nothing to draw: make white, or transparent, what is to be drawn anew"
        )


def share_within(mask: Greys, square: Square) -> float:
    """How much of what a mask means lies within the square that is worked on, over 0 to 1.

    Raises InvalidRequest where none of it does.
    """
    height, width = mask.shape
    x0, y0, x1, y1 = square.inside((width, height))
    left, top, right, bottom = square.open_sides((width, height))
    meant = mask >= _MEANT
    # Its outermost pixels stay as they are where the target goes on: see `softened`.
    within = int(meant[y0 + top : y1 - bottom, x0 + left : x1 - right].sum())
    if not within:
        raise InvalidRequest(
            f"the mask lies outside of the square of {square.side} pixels at {square.left}, "
            f"{square.top} around the target's face, and only there can be drawn: mark a part of "
            "it, or choose another face"
        )
    return within / int(meant.sum())


def softened(mask: Greys, square: Square, feather_pixels: float) -> NDArray[np.float32]:
    """The square's part of a mask as float32 [side, side] at the target's own scale: 0 outside,
    rising from its edge to 1 over feather_pixels, or over half the way into what is narrow.

    A mask that goes on where the square ends fades as a head's does.
    """
    height, width = mask.shape
    x0, y0, x1, y1 = square.inside((width, height))
    meant = (mask[y0:y1, x0:x1] >= _MEANT).astype(np.uint8)
    # At the target's own border nothing ends: beyond it the mask goes on as it is.
    beyond = (y0 - square.top, square.top + square.side - y1)
    aside = (x0 - square.left, square.left + square.side - x1)
    left, top, right, bottom = square.open_sides((width, height))
    whole = np.pad(meant, (beyond, aside), mode="edge")
    closed = np.pad(whole, ((int(top), int(bottom)), (int(left), int(right))))
    if closed.all():
        return np.ones((square.side, square.side), np.float32)
    depth = cv2.distanceTransform(closed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = depth[top : top + square.side, left : left + square.side]
    feather = min(feather_pixels, float(depth.max()) / 2) + 1
    cut = (
        left and bool(whole[:, 0].any()),
        top and bool(whole[0].any()),
        right and bool(whole[:, -1].any()),
        bottom and bool(whole[-1].any()),
    )
    fade = border_fade(square.side, cut, round(square.side * BORDER_FADE_SHARE))
    soft: NDArray[np.float32] = smooth(np.clip(depth.astype(np.float64) / feather, 0, 1)) * fade
    return soft


def at_side(mask: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square mask at another side; where any of it was, some of it stays."""
    if mask.shape[0] == side:
        return mask
    how = cv2.INTER_AREA if side < mask.shape[0] else cv2.INTER_LINEAR
    result: NDArray[np.float32] = cv2.resize(mask, (side, side), interpolation=how)
    return result
