"""How near pictures are to others that were drawn more exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_DB = 100.0  # told of pictures that are the same


@dataclass(frozen=True)
class Closeness:
    """Of pictures to others, pair by pair. psnr: dB of the mean square error of all, 100 where they
    are the same; least_psnr: of the worst pair. ssim: mean. most_levels: the greatest difference,
    of 255.
    """

    psnr: float
    least_psnr: float
    ssim: float
    most_levels: int


def closeness(
    pictures: "Sequence[NDArray[np.uint8]]", exact: "Sequence[NDArray[np.uint8]]"
) -> Closeness:
    """Of pictures [height, width, 3] to the exact ones of the same shapes, one or more.

    SSIM: Wang et al., 2004, in its Gaussian form, by scikit-image.
    """
    import numpy as np
    from skimage.metrics import structural_similarity

    pairs = list(zip(pictures, exact, strict=True))
    apart = [one.astype(np.float64) - other.astype(np.float64) for one, other in pairs]
    errors = [float((difference**2).mean()) for difference in apart]
    alike = [
        float(
            structural_similarity(
                one, other, channel_axis=2, gaussian_weights=True, use_sample_covariance=False
            )
        )
        for one, other in pairs
    ]
    return Closeness(
        psnr=_decibels(sum(errors) / len(errors)),
        least_psnr=_decibels(max(errors)),
        ssim=sum(alike) / len(alike),
        most_levels=int(max(abs(difference).max() for difference in apart)),
    )


def _decibels(error: float) -> float:
    """Peak signal to noise ratio of a mean square error, peak 255."""
    import math

    return MOST_DB if error == 0 else min(MOST_DB, 10 * math.log10(255**2 / error))
