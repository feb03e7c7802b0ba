"""KID, the kernel distance of two sets of pictures (Bińkowski et al., arXiv:1801.01401), by terms.

By terms, so that leaving a person out for an interval is leaving out rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]
Matrix = NDArray[np.float64]


def kernel(one: Embeddings, other: Embeddings) -> Matrix:
    """The cubic kernel of embeddings [n, d] and [m, d].

    Embeddings are of unit length here, where the paper divides the product by their width.
    """
    return np.asarray((one.astype(np.float64) @ other.astype(np.float64).T + 1) ** 3)


def terms(one: Embeddings, other: Embeddings) -> Matrix:
    """The terms [n, n] of two sets, case by case; KID is their mean over pairs of cases."""
    between = kernel(one, other)
    return kernel(one, one) + kernel(other, other) - between - between.T


def mean_of_pairs(matrix: Matrix) -> float:
    """Mean of terms over pairs of different cases: the unbiased squared discrepancy.

    Two pictures of one case show the same wish, and are no independent draws. Equal sets give 0.
    """
    count = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))
