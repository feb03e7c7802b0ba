"""Attributes and a free text → one set of attributes; what contradicts is told, not hidden."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prompting.composition import spoken_as
from prompting.contradictions import contradiction
from prompting.parser import Reading
from prompting.plan import Decision
from prompting.schema import SEVERAL, Attributes


@dataclass(frozen=True)
class Merged:
    """What is asked for by both, and the text's words that gave way.

    words: attribute → its words in the text, for what the text added.
    """

    attributes: Attributes
    words: Mapping[str, str]
    decisions: tuple[Decision, ...]


def merge(given: Attributes, reading: Reading) -> Merged:
    """The attributes with what a text adds, in the text's order.

    Attributes win over the text, and within the text what was said first; whatever contradicts
    them is dropped with the reason.
    """
    values: dict[str, Any] = dict(given)
    words: dict[str, str] = {}
    lost: list[Decision] = []
    for attribute, raw in reading.values.items():
        value = getattr(Attributes(**{attribute: raw}), attribute)
        said = reading.words.get(attribute, "")
        reason = _objection(attribute, value, given, values)
        if reason:
            lost.append(Decision(attribute, _wished(attribute, value), "dropped", reason=reason))
        else:
            earlier = values[attribute] if attribute in SEVERAL else ()
            values[attribute] = tuple(dict.fromkeys((*earlier, *value))) if earlier else value
            words[attribute] = said
    for excluded in reading.exclude:
        wider = {**values, "exclude": (*values["exclude"], excluded)}
        if (found := contradiction(wider)) and excluded not in values["exclude"]:
            reason = f'contradicts "{found[0]}"'
            lost.append(Decision("exclude", f"no {excluded}", "dropped", reason=reason))
        else:
            values = wider
    values["exclude"] = tuple(dict.fromkeys(values["exclude"]))
    lost += [Decision(a, words_, "dropped", reason=why) for a, words_, why in reading.contradicted]
    return Merged(given.model_copy(update=values), words, tuple(lost))


def _objection(
    attribute: str, value: object, given: Attributes, values: Mapping[str, object]
) -> str:
    """Why what a text says cannot be added; empty if it can."""
    asked = getattr(given, attribute)
    if (
        attribute not in SEVERAL
        and asked is not None
        and _wished(attribute, asked) != _wished(attribute, value)
    ):
        return f'the attribute says "{_wished(attribute, asked)}"'
    if found := contradiction({**values, attribute: value}):
        other = found[1] if found[0] == _wished(attribute, value) else found[0]
        return f'contradicts "{other}"'
    return ""


def _wished(attribute: str, value: object) -> str:
    """The canonical words of a value; of one that must not be seen, "no …"."""
    if isinstance(value, tuple):
        return ", ".join(spoken_as(attribute, one) for one in value)
    return f"no {spoken_as(attribute, True)}" if value is False else spoken_as(attribute, value)
