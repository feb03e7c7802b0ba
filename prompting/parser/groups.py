"""Reads one group of English words, "tall young man": its last word says what it is about."""

from collections.abc import Iterator, Mapping, Sequence

from prompting.lexicon import Topic, lexicon, speech
from prompting.parser.reading import Notes
from prompting.parser.words import (
    RELATIONS,
    Token,
    longest_name,
    plain_text,
    written_text,
)

HAIR = ("hair_length", "hair_style", "hair")
_MOST_WORDS = 40  # of a group: nobody describes one thing in more
_PERSONS = frozenset({"gender", "profession"})
_BARE = frozenset({"hair", "eyes", "face", "expression", "look", "light", "lighting", "background"})

Name = tuple[str, str]


def read_group(group: Sequence[Token], notes: Notes) -> bool:
    """Notes down what a group of words asks for; whether it was understood.

    A group that speaks of two things is only understood where the first is a person or a known
    thing, and a participle or an age goes on ("woman looking left").
    """
    if len(group) > _MOST_WORDS:
        return False
    if not group:
        return True
    if known := known_name(group):
        notes.ask(*known, written_text(group))
        return True
    if group[-1].asks and group[-1].plain.startswith("in "):  # "a bride in her twenties"
        notes.ask(*group[-1].asks, group[-1].written)
        if not read_group(group[:-1], notes):
            notes.keep(phrase_of(group[:-1]))
        return True
    for end in range(len(group) - 1, 0, -1):
        if _goes_on(group, end) and _one_thing(group[:end]) and read_group(group[:end], notes):
            if not read_group(group[end:], notes):
                notes.keep(phrase_of(group[end:]))
            return True
    if not _one_thing(group):
        return False
    return (
        _about_person(group, notes)
        or _about_picture(group, notes)
        or _about_thing(group, notes)
        or _only_names(group, notes)
    )


def known_name(group: Sequence[Token]) -> Name | None:
    """What a whole group means."""
    if len(group) == 1 and group[0].asks:
        return group[0].asks
    return lexicon().heard.get(plain_text(group))


def phrase_of(words: Sequence[Token]) -> str:
    """Words as a phrase, without those that a picture does not need."""
    written = written_text(words).split()
    return " ".join(word for word in written if word.lower() not in _UNSAID) or " ".join(written)


_UNSAID = frozenset({
    "a", "an", "the", "his", "her", "their", "my", "our", "its", "some", "is", "are", "was", "were",
    "who", "which", "that", "has", "have", "there", "he", "she", "it", "be", "should", "also",
})  # fmt: skip


def topic_of(noun: str) -> Topic | None:
    """The attribute that a noun is about."""
    return next((topic for topic in lexicon().topics.values() if noun in topic.nouns), None)


def is_person(group: Sequence[Token]) -> int:
    """How many words at the end of a group name a person: 0 if none do."""
    for length in range(min(len(group), 3), 0, -1):
        text = plain_text(group[-length:])
        attribute, _ = lexicon().heard.get(text, ("", ""))
        if attribute in _PERSONS or text in lexicon()["age"].nouns:
            return length
    return 0


def is_picture(word: Token) -> bool:
    """Whether a word names a picture: "photo", "headshot"."""
    return word.plain in speech().media or lexicon().heard.get(word.plain, ("",))[0] == "framing"


def _goes_on(group: Sequence[Token], end: int) -> bool:
    """Whether a second thing begins after a person or a thing: "man | smiling", "hair | tied"."""
    first, known = group[end], known_name(group[end:])
    if topic_of(first.plain) is not None:
        return False
    participle = first.plain.endswith(("ing", "ed", "ly")) and first.plain != "red"
    if first.asks is not None or participle:
        is_thing = topic_of(group[end - 1].plain) is not None or known_name(group[:end]) is not None
        return is_thing or is_person(group[:end]) > 0
    return is_person(group[:end]) > 0 and known is not None and known[0] not in _PERSONS


def _one_thing(group: Sequence[Token]) -> bool:
    return RELATIONS.isdisjoint(token.plain for token in group)


def _about_person(group: Sequence[Token], notes: Notes) -> bool:
    """ "handsome Asian man": known words before a person are attributes, others a phrase."""
    length = is_person(group)
    if not length:
        return False
    head, rest = group[-length:], group[:-length]
    names = {**lexicon().heard_before, **lexicon().heard}
    parts = list(_parts(rest, names))
    strange = [token for part, name in parts if name is None for token in part]
    attribute, value = lexicon().heard[plain_text(head)]
    for part, name in parts:
        if name is not None:
            notes.ask(*name, written_text(part))
    if attribute == "profession" and strange:
        value, strange, head = f"{written_text(strange)} {value}", [], (*strange, *head)
    notes.ask(attribute, value, written_text(head))
    if strange:
        notes.keep(written_text(strange))
    return True


def _about_picture(group: Sequence[Token], notes: Notes) -> bool:
    """ "close-up portrait photo": known words before a word for pictures, others a phrase."""
    if not is_picture(group[-1]):
        return False
    names = {**lexicon().heard_before, **lexicon().heard}
    strange: list[Token] = []
    for part, name in _parts(group, names):
        if name is not None and name != ("framing", "portrait"):
            notes.ask(*name, written_text(part))
        elif name is None:
            strange += part
    if unsaid := [token for token in strange if token.plain in speech().media]:
        notes.remove(written_text(unsaid))
    if said := [token for token in strange if token.plain not in speech().media]:
        notes.keep(written_text(said))
    return True


def _about_thing(group: Sequence[Token], notes: Notes) -> bool:
    """ "long silver hair": a group whose last word is a topic's noun is that topic's value."""
    noun = group[-1].plain
    topic = topic_of(noun)
    if topic is None:
        return False
    if len(group) == 1 and noun in _BARE:
        notes.remove(written_text(group))
        return True
    if any(noun in lexicon()[name].nouns for name in HAIR):
        return _about_hair(group, notes)
    text = written_text(group)
    modifiers = plain_text(group[:-1])
    entry = topic.find(modifiers) if modifiers else None
    if topic.name in {"light", "expression", "view"}:
        if entry is None and noun in {"expression", "mood"} and modifiers:
            notes.keep(written_text(group[:-1]))
        elif entry is None or noun == "smile":
            notes.keep(text)
        else:
            notes.ask(topic.name, entry.value, text)
        return True
    stripped = topic.name in {"eyes", "background"} and modifiers
    notes.ask(topic.name, written_text(group[:-1]) if stripped else text, text)
    return True


def _about_hair(group: Sequence[Token], notes: Notes) -> bool:
    """ "long curly red hair", "short bob": length, style and colour, each its attribute."""
    noun = group[-1]
    text = written_text(group)
    is_plain = noun.plain in {"hair", "haircut", "locks", "haired"}  # a "bun" is a style itself
    names: dict[str, Name] = {}
    for attribute in reversed(HAIR if is_plain else ("hair_length", "hair")):
        topic = lexicon()[attribute]
        names |= {name: (attribute, value) for name, value in topic.names.items()}
    strange: list[Token] = []
    found: dict[str, str] = {}
    for part, name in _parts(group[:-1], names):
        if name is None or found.setdefault(*name) != name[1]:
            strange += part
    if not is_plain:
        known = lexicon()["hair_style"].find(plain_text((*strange, noun)))
        own = written_text((*strange, noun)) if known is None else known.value
        found["hair_style"] = own
    elif strange:
        place = next((a for a in ("hair", "hair_style") if a not in found), None)
        if place is None:
            notes.keep(text)
            return True
        found[place] = written_text(strange)
    for attribute, value in found.items():
        notes.ask(attribute, value, text)
    return True


def _only_names(group: Sequence[Token], notes: Notes) -> bool:
    """ "smiling bearded": known names and nothing else."""
    parts = list(_parts(group, lexicon().heard))
    if any(name is None for _, name in parts):
        return False
    for part, name in parts:
        if name is not None:
            notes.ask(*name, written_text(part))
    return True


def _parts(
    group: Sequence[Token], names: Mapping[str, Name]
) -> Iterator[tuple[Sequence[Token], Name | None]]:
    """A group as the longest names it is made of, and the words between."""
    at = 0
    while at < len(group):
        lengths = range(min(len(group) - at, longest_name()), 0, -1)
        length = next((n for n in lengths if plain_text(group[at : at + n]) in names), 1)
        part = group[at : at + length]
        yield part, part[0].asks or names.get(plain_text(part))
        at += length
