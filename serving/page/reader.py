"""From the values of the page's controls to the wish that they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from serving.page.controls import AdvancedControls, LookControls, PeopleControls, TargetControls
from serving.page.wish import AttributeValue, PersonWish, Wish, attributes_of


class Reader:
    """Knows which controls there are and reads them; what a hidden control holds counts not."""

    def __init__(
        self,
        people: PeopleControls,
        target: TargetControls,
        look: LookControls,
        advanced: AdvancedControls,
    ) -> None:
        self._people = people
        self._target = target
        self._look = look
        self._advanced = advanced

    @property
    def of_people(self) -> set[Any]:
        """What `people` reads."""
        slots = self._people.slots
        return {self._people.shown} | {
            control for slot in slots for control in (slot.photo, slot.weight, slot.face)
        }

    @property
    def of_words(self) -> set[Any]:
        """What `said` reads."""
        return {self._look.text, *self._look.attributes.values()}

    @property
    def of_all(self) -> set[Any]:
        """What `wish` reads."""
        target, how = self._target, self._advanced
        return (
            self.of_people
            | self.of_words
            | {target.photo, target.face, target.strength}
            | {
                how.mode, how.steps, how.steps_number, how.own_scales, how.guidance, how.identity,
                how.seed, how.seed_number, how.count, how.size, how.likeness,
            }
        )  # fmt: skip

    def people(self, data: Mapping[Any, Any]) -> tuple[PersonWish, ...]:
        """The slots that are to be seen, those without a photo too."""
        shown = int(data[self._people.shown])
        several = shown > 1
        return tuple(
            PersonWish(
                photo=_path(data[slot.photo]),
                # One person alone has no weight to set, and is all there is.
                weight=float(data[slot.weight] or 0) if several else 50.0,
                face=_whole(data[slot.face]),
            )
            for slot in self._people.slots[:shown]
        )

    def attributes(self, data: Mapping[Any, Any]) -> dict[str, AttributeValue]:
        """The attributes that are not left open."""
        return attributes_of({key: data[c] for key, c in self._look.attributes.items()})

    def said(self, data: Mapping[Any, Any]) -> Wish:
        """Attributes and words alone."""
        return Wish(attributes=self.attributes(data), text=str(data[self._look.text] or ""))

    def wish(self, data: Mapping[Any, Any]) -> Wish:
        """All of it."""
        how = self._advanced
        by_hand = bool(data[how.own_scales])
        target = _path(data[self._target.photo])
        return Wish(
            people=self.people(data),
            target=target,
            target_face=_whole(data[self._target.face]),
            strength=float(data[self._target.strength]) / 100 if target else None,
            attributes=self.attributes(data),
            text=str(data[self._look.text] or ""),
            steps=_steps(data[how.steps], data[how.steps_number]),
            guidance_scale=float(data[how.guidance]) if by_hand else None,
            identity_scale=float(data[how.identity]) if by_hand else None,
            seed=_whole(data[how.seed_number]) if data[how.seed] == "seed_fixed" else None,
            count=int(data[how.count]),
            size=str(data[how.size] or ""),
            mode="fast" if data[how.mode] == "fast" else "exact",
            min_identity=float(data[how.likeness] or 0),
        )


def _steps(choice: object, number: object) -> int | Literal["few"] | None:
    if choice == "few":
        return "few"
    return _whole(number) if choice == "fixed" else None


def _path(value: object) -> Path | None:
    return Path(str(value)) if value else None


def _whole(value: object) -> int | None:
    return int(str(value)) if value not in (None, "") else None
