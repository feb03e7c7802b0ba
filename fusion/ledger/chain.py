"""The chain: each line's hash is made of what it says and of the hash before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True)
class Link:
    """All that a line says, as it is hashed. request: its id."""

    sequence: int
    request: str
    item: str
    correction: int
    quantity: int
    price: int
    per: int
    cost: int
    prices: bytes
    note: str
    at: int

    def hash(self, before: bytes) -> bytes:
        """sha256 of the hash before it and of the line as a JSON list."""
        said = [
            self.sequence, self.request, self.item, self.correction, self.quantity, self.price,
            self.per, self.cost, self.prices.hex(), self.note, self.at,
        ]  # fmt: skip
        return sha256(before + as_json(said)).digest()


def as_json(values: Sequence[object]) -> bytes:
    """A list in the one way it is hashed."""
    return _ENCODER.encode(values).encode()


def facts_digest(facts: Sequence[object]) -> str:
    """Of a request's facts, kept in its first line's note, so that the chain covers them."""
    return sha256(as_json(facts)).hexdigest()
