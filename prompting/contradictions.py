"""Which attributes cannot all be true of one portrait."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prompting.lexicon import WORN, fold, lexicon


@dataclass(frozen=True)
class _Claim:
    """One value of an attribute: what it is called, and which known value that is."""

    attribute: str
    words: str
    known: tuple[str, str] | None  # (attribute, value): the free hair "bald" is a hair_length, too


def contradiction(values: Mapping[str, object]) -> tuple[str, str, str] | None:
    """The first two things that exclude each other, as words, and which attribute to leave out.

    A known value is against what its entry in the lexicon lists; an exclusion is against whatever
    is asked for in the same words.
    """
    claims = tuple(_claims(values))
    for claim in claims:
        for other in claims:
            if other.words != claim.words and _against(claim, other):
                return claim.words, other.words, other.attribute
    excluded = values.get("exclude")
    for words in excluded if isinstance(excluded, tuple) else ():
        for claim in claims:
            heard = lexicon().heard.get(fold(words))
            if fold(claim.words) == fold(words) or (heard and heard == claim.known):
                return claim.words, f"no {words}", "exclude"
            topic = lexicon().topics.get(claim.attribute)
            if heard and topic and heard == (claim.attribute, WORN):
                return claim.words, f"no {words}", "exclude"
    return None


def _claims(values: Mapping[str, object]) -> Iterator[_Claim]:
    for attribute, value in values.items():
        if value is None or value is False or attribute == "exclude":
            continue
        for one in value if isinstance(value, tuple) else (value,):
            topic = lexicon().topics.get(attribute)
            name = WORN if one is True else str(one)
            words = name if topic is None else topic.phrasings(name)[0]
            known = topic is not None and name in topic.entries
            yield _Claim(
                attribute, words, (attribute, name) if known else lexicon().heard.get(fold(words))
            )


def _against(claim: _Claim, other: _Claim) -> bool:
    if claim.known is None:
        return False
    attribute, value = claim.known
    against = lexicon()[attribute].entries[value].against
    return other.attribute in against or any(
        f"{known[0]}={known[1]}" in against for known in (other.known,) if known is not None
    )
