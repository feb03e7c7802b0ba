"""What is asked of a ledger: of when, of whom, by what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from eval.costs.errors import QuestionRejected
from fusion import Dimension

STAGE: Final = "stage"
GROUPS: Final = ("tenant", "key", "day", "bundle", "source", "kind", "template", STAGE)
_MONTH: Final = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Question:
    """since, until: of requests opened then, the second excluded. by: of GROUPS, as asked."""

    since: datetime | None = None
    until: datetime | None = None
    tenant: str | None = None
    by: tuple[str, ...] = ()

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Those of `by` that requests have; a stage is a part of each."""
        return cast(tuple[Dimension, ...], tuple(one for one in self.by if one != STAGE))

    @property
    def by_stage(self) -> bool:
        """Whether stages are asked for."""
        return STAGE in self.by


def read_question(
    since: str | None = None,
    until: str | None = None,
    tenant: str | None = None,
    by: Sequence[str] = (),
) -> Question:
    """since, until: 2026-11, 2026-11-25, or with a time, in UTC unless a zone is given.

    Raises QuestionRejected.
    """
    for one in by:
        if one not in GROUPS:
            raise QuestionRejected(f"--by takes {', '.join(GROUPS)}, not {one!r}")
    begin, end = _when("--since", since), _when("--until", until)
    if begin is not None and end is not None and begin >= end:
        raise QuestionRejected(
            f"--since {since} is not before --until {until}: nothing lies between (the second one "
            "is excluded)"
        )
    return Question(begin, end, tenant, tuple(dict.fromkeys(by)))


def _when(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    written = text.strip()
    try:
        when = datetime.fromisoformat(f"{written}-01" if _MONTH.fullmatch(written) else written)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise QuestionRejected(
            f"{option} takes a day such as 2026-11-25 or a month such as 2026-11, not {text!r}"
        ) from error
