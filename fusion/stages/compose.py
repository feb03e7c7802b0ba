"""compose: a drawn head is laid into its target; outside its mask every byte stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.colour import ColourMatch, match_ring
from fusion.given_mask import at_side
from fusion.mask import BORDER_FADE_SHARE, MaskShape, border_fade, soft_mask
from fusion.placement import Square, cut, resized, to_square


@dataclass(frozen=True)
class Canvas:
    """Where a fusion is drawn: the target, the square of it that is worked on, the head's mask.

    target: uint8 [height, width, 3]; landmarks: [5, 2] in the target; side: of the model's picture.
    given: float [square.side, square.side], a mask to use instead of the head's.
    """

    target: NDArray[np.uint8]
    square: Square
    side: int
    landmarks: NDArray[np.float32]
    shape: MaskShape
    given: NDArray[np.float32] | None = None

    def mask(self, side: int) -> NDArray[np.float32]:
        """The square's soft mask float32 [side, side], falling to 0 where the target goes on."""
        if self.given is not None:
            return at_side(self.given, side)
        height, width = self.target.shape[:2]
        points = to_square(self.landmarks, self.square, side)
        window = border_fade(
            side, self.square.open_sides((width, height)), round(side * BORDER_FADE_SHARE)
        )
        mask: NDArray[np.float32] = soft_mask(points, (side, side), self.shape) * window
        return mask

    def picture(self) -> NDArray[np.uint8]:
        """The square's own pixels at the model's side: what is drawn over."""
        return cut(self.target, self.square, self.side)


def compose(drawn: NDArray[np.uint8], canvas: Canvas, colour: ColourMatch) -> NDArray[np.uint8]:
    """The target with the drawn head in it, uint8 [height, width, 3] of the target's size.

    drawn: uint8 [side, side, 3]. Where the mask is 0 the target's bytes are kept exactly.
    """
    height, width = canvas.target.shape[:2]
    square = canvas.square
    mask = canvas.mask(square.side)
    ours = match_ring(
        resized(drawn, square.side), cut(canvas.target, square, square.side), mask, colour
    )
    x0, y0, x1, y1 = square.inside((width, height))
    inner = np.s_[y0 - square.top : y1 - square.top, x0 - square.left : x1 - square.left]
    share = mask[inner][..., None]
    result = canvas.target.copy()
    theirs = result[y0:y1, x0:x1]
    mixed = share * ours[inner].astype(np.float32) + (1 - share) * theirs.astype(np.float32)
    result[y0:y1, x0:x1] = np.where(share > 0, mixed.round().astype(np.uint8), theirs)
    return result
