"""What each anchor of the detector stands for, what is asked of it, and what its answer costs.

Three strides, two anchors a cell, each for faces of one size; a face is the business of the cells
around its centre at the anchors of its size. The landmarks decide how well a face is aligned, so
they carry most of the loss, and the score is taught to be highest where the points are best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST_FACE = 9.0  # pixels of the detector's input; smaller ones are neither asked nor punished
STRIDES = (8, 16, 32)
# Face sizes (root of the box's area, pixels of the input) that the two anchors of each stride stand
# for.
ANCHOR_SIZES = ((15.0, 24.0), (38.0, 60.0), (94.0, 145.0))
ANCHORS = 2
VALUES = 1 + 4 + 10  # score, distances to left, top, right, bottom, five points


@dataclass(frozen=True)
class Detections:
    """Raw outputs of all anchors, stride by stride: logits [batch, n], distances [batch, n, 4] and
    points [batch, n, 5, 2], both in pixels, the points absolute.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor


def anchor_table(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of every anchor, in output order: corner x, y in pixels [n, 2], stride [n], face size [n]."""
    corners, strides, sizes = [], [], []
    for stride, anchor_sizes in zip(STRIDES, ANCHOR_SIZES, strict=True):
        y, x = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        cells = torch.stack([x, y], dim=-1).reshape(-1, 2).float() * stride
        corners.append(cells.repeat_interleave(ANCHORS, dim=0))
        strides.append(torch.full((len(cells) * ANCHORS,), float(stride)))
        sizes.append(torch.tensor(anchor_sizes).repeat(len(cells)))
    return torch.cat(corners), torch.cat(strides), torch.cat(sizes)


def decode(maps: Sequence[Tensor]) -> Detections:
    """Maps of the detector to scores, boxes and points in pixels."""
    rows = torch.cat(
        [m.permute(0, 2, 3, 1).reshape(len(m), -1, VALUES).float() for m in maps], dim=1
    )
    height, width = maps[0].shape[2] * STRIDES[0], maps[0].shape[3] * STRIDES[0]
    corners, strides, _ = (t.to(rows.device) for t in anchor_table(height, width))
    distances = rows[..., 1:5] * strides[:, None]
    boxes = torch.cat([corners - distances[..., :2], corners + distances[..., 2:]], dim=-1)
    points = rows[..., 5:].reshape(*rows.shape[:2], 5, 2) * strides[:, None, None]
    return Detections(rows[..., 0], boxes, points + corners[:, None])


@dataclass(frozen=True)
class Assignment:
    """For every anchor of every picture: the face it should report (int64 [batch, n]), whether it
    must report it, and whether its score counts at all (bool [batch, n]).
    """

    face: Tensor
    positive: Tensor
    counted: Tensor


def assign(boxes: Tensor, present: Tensor, height: int, width: int) -> Assignment:
    """Which anchors answer for which face: the cells around its centre, at the anchors of its size.

    boxes [batch, faces, 4] in pixels, present bool [batch, faces]. Near misses, in place or in
    size, are not counted.
    """
    corners, strides, sizes = (t.to(boxes.device) for t in anchor_table(height, width))
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    extent = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1.0)
    face_sizes = extent.prod(-1).sqrt()
    away = (centres[:, :, None] - corners).abs().amax(-1) / strides
    octaves = (face_sizes[:, :, None] / sizes).log2().abs()
    nearest = octaves <= octaves.amin(-1, keepdim=True) + 1e-4
    known = (present & (face_sizes >= SMALLEST_FACE))[:, :, None]
    positive = known & (away < 0.8) & (nearest | (octaves < 0.45))
    doubtful = present[:, :, None] & (away < 1.6) & (octaves < 1.3)
    # An anchor between two faces answers for the nearer one.
    cost = torch.where(positive, away + octaves, torch.full_like(away, 1e4))
    face = cost.argmin(1)
    taken = positive.any(1)
    return Assignment(face, taken, taken | ~doubtful.any(1))


def detection_loss(
    found: Detections, boxes: Tensor, points: Tensor, assignment: Assignment
) -> tuple[Tensor, dict[str, float]]:
    """Quality focal loss on scores, L1 on boxes, sharpened L1 on points; figures: mean point error
    in eye distances.

    boxes [batch, faces, 4], points [batch, faces, 5, 2], pixels.
    """
    picture, anchor = assignment.positive.nonzero(as_tuple=True)
    face = assignment.face[picture, anchor]
    true_boxes, true_points = boxes[picture, face], points[picture, face]
    size = (true_boxes[:, 2:] - true_boxes[:, :2]).clamp(min=1.0).prod(-1).sqrt()
    count = max(1, len(picture))
    box_loss = (found.boxes[picture, anchor] - true_boxes).abs().mean(1) / size
    off = (found.points[picture, anchor] - true_points) / size[:, None, None]
    # Root-like near zero (wing loss, Feng et al. 2018): a pixel matters most where few are left.
    point_loss = torch.log1p(off.abs() / 0.01).mean((1, 2))
    eye = (true_points[:, 1] - true_points[:, 0]).norm(dim=-1).clamp(min=1.0)
    error = (off.detach().norm(dim=-1).mean(1) * size) / eye
    quality = torch.zeros_like(found.logits)
    quality[picture, anchor] = (1.0 - 2.0 * error).clamp(0.6, 1.0)
    probability = torch.sigmoid(found.logits)
    score_loss = (quality - probability).abs().square() * F.binary_cross_entropy_with_logits(
        found.logits, quality, reduction="none"
    )
    score = (score_loss * assignment.counted).sum() / count
    total = 2.0 * score + 2.0 * box_loss.sum() / count + point_loss.sum() / count
    return total, {"score": float(score.detach()), "point_error": float(error.sum() / count)}
