"""What a picture is drawn from: keys and values of words and face, for both branches."""

from __future__ import annotations

from dataclasses import dataclass

from models import RowConditions


@dataclass(frozen=True)
class Conditioning:
    """What one picture's row is given, of one row each. negative is None where guidance is off.

    The identity is None where the model knows none; the negative branch's is the projection of
    zeros, as FaceID was trained.
    """

    positive: RowConditions
    negative: RowConditions | None

    def scaled(self, identity_scale: float) -> Conditioning:
        """The same with the identity's attention added so strongly."""
        return Conditioning(
            _scaled(self.positive, identity_scale),
            None if self.negative is None else _scaled(self.negative, identity_scale),
        )


def _scaled(conditions: RowConditions, scale: float) -> RowConditions:
    return RowConditions.of(conditions.text, conditions.identity, scale)
