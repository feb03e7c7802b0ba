"""`--set` on the command line: "age=35", "glasses", "hat=none" → attributes."""

from collections.abc import Iterable

from prompting.errors import InvalidAttribute, UnknownAttribute
from prompting.lexicon import lexicon
from prompting.schema import ACCESSORIES, REPEATABLE, Attributes, key_of


def parse_setting(setting: str) -> tuple[str, str | bool]:
    """One setting as key and value; an accessory's bare name means that it is worn.

    The value is not judged here: Attributes does that. Raises UnknownAttribute, InvalidAttribute.
    """
    name, equals, value = setting.partition("=")
    key = key_of(name.strip().lower())
    if key not in Attributes.model_fields:
        raise UnknownAttribute(key, Attributes.model_fields, lexicon().called)
    if equals:
        return key, value.strip()
    if key in ACCESSORIES:
        return key, True
    raise InvalidAttribute(key, f'needs a value: write "{key}=…"')


def parse_settings(settings: Iterable[str]) -> Attributes:
    """Several settings as attributes; REPEATABLE ones may be repeated, others are given once.

    Raises UnknownAttribute, InvalidAttribute, ContradictoryAttributes.
    """
    given: dict[str, str | bool] = {}
    repeated: dict[str, list[str | bool]] = {}
    for setting in settings:
        key, value = parse_setting(setting)
        if key in REPEATABLE:
            repeated.setdefault(key, []).append(value)
        elif given.get(key, value) != value:
            raise InvalidAttribute(key, f'is set twice, to "{given[key]}" and to "{value}"')
        else:
            given[key] = value
    return Attributes(**given, **repeated)
