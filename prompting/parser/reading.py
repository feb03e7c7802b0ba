"""What a free text asks for, and the sheet on which the readers of a language note it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prompting.ages import AgeRange, age_of
from prompting.lexicon import WORN, fold, lexicon, speech
from prompting.schema import ACCESSORIES, SEVERAL
from prompting.values import MAX_WORD_CHARACTERS, is_answer

Value = str | bool | tuple[str, ...]

SAID_BEFORE: Final = "said before"
FILLER: Final = "asks for nothing that a picture shows"


@dataclass(frozen=True)
class Reading:
    """Attributes as Attributes takes them, what must not be seen, and what is none of both.

    removed: (words, why) of what asks for nothing more. words: attribute → how the text said it.
    contradicted: (attribute, words, why) of what something said before excludes.
    """

    values: Mapping[str, Value]
    phrases: tuple[str, ...]
    exclude: tuple[str, ...]
    removed: tuple[tuple[str, str], ...] = ()
    words: Mapping[str, str] = field(default_factory=dict, compare=False)
    contradicted: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Notes:
    """Collects a reading; whatever cannot be an attribute stays a phrase, so nothing is lost."""

    values: dict[str, Value] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)  # folded → as written
    exclude: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    contradicted: list[tuple[str, str, str]] = field(default_factory=list)
    pronoun: tuple[str, str] | None = None  # the gender of "she", used if no noun gives one

    def ask(self, attribute: str, value: str, words: str) -> None:
        """An attribute; a second, other value of the same one is kept as the words it came in."""
        if len(value) > MAX_WORD_CHARACTERS or (is_answer(value) and value != WORN):
            self.keep(words)
        elif attribute in SEVERAL:
            earlier = self.values.get(attribute, ())
            assert isinstance(earlier, tuple)
            self.values[attribute] = tuple(dict.fromkeys((*earlier, value)))
            self.words[attribute] = ", ".join(filter(None, (self.words.get(attribute), words)))
        else:
            taken: Value = True if attribute in ACCESSORIES and value == WORN else value
            self._settle(attribute, taken, words)

    def ask_gender_of(self, pronoun: str) -> None:
        """The gender that a pronoun tells."""
        self.pronoun = self.pronoun or (speech().pronouns[fold(pronoun)], pronoun)

    def refuse(self, words: str) -> None:
        """Something that must not be seen."""
        attribute, value = lexicon().heard.get(fold(words), ("", ""))
        if attribute in ACCESSORIES and value == WORN:
            if self.values.get(attribute, False) is not False:
                self.remove(self.words.pop(attribute), f'"no {words}" takes it back')
            self.values[attribute] = False
        else:
            self.exclude.setdefault(fold(words), words)

    def keep(self, words: str) -> None:
        """Words that say nothing the lexicon knows."""
        if fold(words) in self.phrases:
            self.remove(words, SAID_BEFORE)
        self.phrases.setdefault(fold(words), words)

    def remove(self, words: str, why: str = FILLER) -> None:
        """Words that add nothing."""
        self.removed.setdefault(fold(words), why)

    def reading(self) -> Reading:
        if self.pronoun and "gender" not in self.values:
            self.values = {"gender": self.pronoun[0], **self.values}
            self.words["gender"] = self.pronoun[1]
        return Reading(
            self.values,
            tuple(self.phrases.values()),
            tuple(self.exclude.values()),
            tuple(self.removed.items()),
            self.words,
            tuple(self.contradicted),
        )

    def _settle(self, attribute: str, value: Value, words: str) -> None:
        """Which of two values of one attribute stands."""
        if attribute not in self.values:
            self.values[attribute], self.words[attribute] = value, words
            return
        earlier = self.values[attribute]
        if earlier is False:
            why = f'contradicts "no {attribute}", {SAID_BEFORE}'
            self.contradicted.append((attribute, words, why))
        elif _says_as_much(attribute, earlier, value):
            self.remove(words, SAID_BEFORE)
        elif _says_as_much(attribute, value, earlier):
            self.remove(self.words[attribute], f'"{words}" says it exactly')
            self.values[attribute], self.words[attribute] = value, words
        else:
            self.keep(_told(attribute, value, words))


def _told(attribute: str, value: Value, words: str) -> str:
    """A value as a phrase: as it was written where that is a phrasing of it, else canonically."""
    topic = lexicon()[attribute]
    entry = topic.entries.get(WORN if value is True else str(value))
    if entry is None or fold(words) in map(fold, entry.say):
        return words
    return entry.say[0]


def _says_as_much(attribute: str, value: Value, other: Value) -> bool:
    """Whether a value says what another one says, and perhaps more."""
    if value == other or (other is True and isinstance(value, str)):
        return True
    if attribute == "age" and isinstance(value, str) and isinstance(other, str):
        years, roughly = age_of(value), age_of(other)
        named = other in lexicon()["age"].entries and value not in lexicon()["age"].entries
        return named and isinstance(roughly, AgeRange) and _near(years, roughly)
    return (attribute, other) in {("gender", "person"), ("framing", "portrait")}


def _near(years: int | AgeRange, roughly: AgeRange) -> bool:
    youngest, oldest = (years, years) if isinstance(years, int) else (years.youngest, years.oldest)
    is_last = roughly.oldest >= 85  # nothing is said of those beyond
    return roughly.youngest - 10 <= oldest and (is_last or youngest <= roughly.oldest + 10)
