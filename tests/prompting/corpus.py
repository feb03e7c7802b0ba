"""The corpus of wordy prompts, and whether a prompt says what a careful reader wrote down of it.

It knows nothing of the package's lexicon: its wordings are what a diffusion model understands.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("corpus.toml")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# One spelling of each word, so that the corpus need not list both.
SPELLINGS = {
    "gray": "grey", "graying": "greying", "blonde": "blond", "mustache": "moustache",
    "colored": "coloured", "color": "colour", "jewelry": "jewellery", "armor": "armour",
    "colorful": "colourful", "watercolor": "watercolour",
}  # fmt: skip
COLOURS = _set(
    "black white grey brown red orange yellow green blue turquoise purple violet pink dark deep "
    "light pale teal neutral plain"
)
HAIR_NOUNS = (
    "hair*", "bob", "braid*", "bun", "ponytail*", "pigtail*", "afro", "updo", "curl*", "topknot",
    "wave*", "fringe", "bang*", "cut", "haircut", "redhead*", "blond*", "locks", "temples",
)  # fmt: skip
WORDINGS: Mapping[str, Mapping[str, str]] = {
    "gender": {
        "man": "man|men|male|gentleman|guy|boy|1boy|father|grandfather|dad|husband|nobleman|"
        "businessman|king|prince|actor|sailor",
        "woman": "woman|women|female|lady|girl|1girl|mother|mum|mom|grandmother|grandma|wife|"
        "actress|bride|businesswoman|queen|princess|countess|heroine",
    },
    "expression": {
        "smiling": "smil*|grin*|beaming",
        "laughing": "laugh*",
        "sad": "sad|sorrow*|unhappy|melanchol*|grie*",
        "surprised": "surpris*|astonish*|amazed",
        "serious": "serious|stern|earnest",
        "neutral": "neutral|expressionless|calm|blank",
        "calm": "calm|serene|relaxed|peaceful|neutral",
        "thoughtful": "thoughtful|pensive|contemplative|reflective",
        "determined": "determin*|resolute",
        "confident": "confiden*|self assured",
        "bored": "bored|boredom|boring",
    },
    "hair": {"red": "red|ginger"},
    "glasses": {"true": "glasses|spectacles|eyeglasses"},
    "beard": {"true": "beard*"},
    "hat": {"true": "hat"},
    "earrings": {"true": "earring*"},
    "view": {
        "front": "camera|viewer|front view|facing front|front facing|from front|frontal|into lens|"
        "gaze lens|eye contact|ahead|forward*",
        "left": "fac* left|turn* left|look* left|left profile|left view|gaze left",
        "right": "fac* right|turn* right|look* right|right profile|right view|gaze right",
    },
    "light": {
        "left": "light* left|lit left|left lit",
        "right": "light* right|lit right|right lit|backlight* right",
        "front": "light* front|lit front|frontal light*",
        "side": "side light*|sidelight*|light* side|lit side|side lit",
        "rim": "rim light*|rimlight*|rim lit",
        "natural": "natural light*|daylight|natural window light*",
        "soft": "soft light*|softly lit|softbox|soft studio*|soft natural*|diffuse* light*",
        "studio": "studio light*|studio lit|studio|softbox",
        "behind": "behind light*|back light*|backlit|backlight*|behind lit",
    },
    "framing": {"headshot": "headshot*|head shot*|head shoulders"},
}
# Words that say an attribute: none of them may stand in a prompt that was not asked for it.
TELLING = {
    "gender": "man|men|male|woman|women|female|boy|girl|lady|gentleman",
    "expression": "smil*|sad|surprised|laughing|serious|neutral expression",
    "glasses": "glasses|spectacles|sunglasses",
    "beard": "beard*|moustache|stubble",
    "hat": "hat|cap|beanie",
    "earrings": "earring*",
    "view": "facing left|facing right|viewer",
    "light": "light* left|light* right|front light",
    "age": "age*|aged|years old|year old",
}
# What joins words, and the nouns an attribute is spoken with: they ask for nothing by themselves.
JOINTS = _set(
    "a an the of in on at with and or from to by over under up out into as for her his their its "
    "portrait photo photograph picture image shot person wearing wears holding wear hold who is "
    "behind front against near looking standing sitting style hair expression"
)
SPOKEN_WITH = {
    "age": "age aged year years old s",
    "expression": "expression look face",
    "hair": "hair haired", "hair_length": "hair haired", "hair_style": "hair haired",
    "eyes": "eyes eyed eye",
    "background": "background backdrop wall scene outdoors",
    "light": "light lighting lit",
    "view": "facing view viewer camera looking front frontal turned profile",
    "clothing": "shirt clothes clothing outfit",
    "makeup": "makeup make", "marks": "skin face",
    "beard": "beard bearded", "jewellery": "jewellery",
    "lens": "lens depth field bokeh shallow f", "framing": "portrait",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A wordy prompt with what it asks for; groups of wordings are joined by "|"."""

    id: str
    language: str
    text: str
    wants: Mapping[str, str | int | bool | list[str]]
    says: tuple[str, ...]
    refused: tuple[str, ...]

    def groups(self) -> dict[str, str]:
        """What must be findable in the prompt (but for an age): a name for it → its wordings."""
        named = {group.split("|")[0]: group for group in self.says}
        for attribute, value in self.wants.items():
            if attribute != "age":
                for single in value if isinstance(value, list) else [value]:
                    named[f"{attribute}: {single}"] = _wordings(attribute, single)
        return named


def corpus() -> tuple[Entry, ...]:
    """Every prompt of corpus.toml."""
    written = tomllib.loads(FILE.read_text(encoding="utf-8"))["prompt"]
    return tuple(
        Entry(
            id=one["id"],
            language=one["language"],
            text=one["text"],
            wants=one.get("wants", {}),
            says=tuple(one.get("says", ())),
            refused=tuple(one.get("not", ())),
        )
        for one in written
    )


def missing(entry: Entry, prompt: str) -> list[str]:
    """The things asked for that the prompt does not say, refusals aside."""
    lost = [name for name, group in entry.groups().items() if not found(group, prompt)]
    if "age" in entry.wants and not _has_age(str(entry.wants["age"]), prompt):
        lost.append(f"age: {entry.wants['age']}")
    return lost


def unrefused(entry: Entry, negative_prompt: str) -> list[str]:
    """The refusals that the negative prompt does not speak of."""
    return [group for group in entry.refused if not found(group, negative_prompt)]


def backfiring(entry: Entry, prompt: str) -> list[str]:
    """The refusals whose words stand in the prompt itself, where they ask for the thing."""
    return [group for group in entry.refused if found(group, prompt)]


def invented(entry: Entry, prompt: str) -> list[str]:
    """What the prompt says and nobody asked for.

    Everywhere: words that say an attribute the text does not speak of. In English also every
    word that is neither the text's, nor a wording of what it asks for, nor a joint.
    """
    wordings = " ".join((entry.text, *entry.says, *(g for g in entry.groups().values())))
    known = set(_words(wordings.replace("*", " "))) | JOINTS
    prefixes = tuple(word[:-1] for word in re.findall(r"[a-z]+\*", wordings))
    for attribute in entry.wants:
        known |= set(SPOKEN_WITH.get(attribute, "").split())
    found_words = [
        f"{attribute}: {group}"
        for attribute, group in TELLING.items()
        if attribute not in entry.wants and found(group, prompt) and not found(group, wordings)
    ]
    if "ancestry" not in entry.wants and re.search(
        r"\b[Bb]lack (wo)?(man|girl|boy|person)", prompt
    ):
        found_words.append("ancestry: Black")
    if entry.language != "en":
        return found_words
    stems = {word[:4] for word in known if len(word) >= 4}
    for word in _words(prompt):
        number = word.removesuffix("s").isdigit()  # whether it is the right one, missing() tells
        if number and "age" in entry.wants:
            continue
        if word not in known and word[:4] not in stems and not word.startswith(prefixes or "\0"):
            found_words.append(word)
    return found_words


def found(group: str, prompt: str) -> bool:
    """Whether one part of the prompt between commas holds all words of one of the wordings."""
    parts = [(part, _words(part)) for part in re.split(r"[,;，。；、]|\.\s|\.$", prompt)]
    return any(
        all(_holds(part, words, word) for word in _wanted_words(wording))
        for wording in group.split("|")
        for part, words in parts
    )


def _wordings(attribute: str, value: str | int | bool) -> str:
    """The acceptable wordings of a wanted value, joined by "|"."""
    known = WORDINGS.get(attribute, {})
    wordings = [known.get(one.lower(), one) for one in str(value).lower().split("|")]
    every = [wording for group in wordings for wording in group.split("|")]
    if attribute in ("hair", "hair_length"):
        every = [
            wording if _wanted_words(wording)[-1] in HAIR_NOUNS else f"{wording} {noun}"
            for wording in every
            for noun in HAIR_NOUNS
        ]
    elif attribute == "eyes":
        every = [f"{wording} eye*" for wording in every]
    elif attribute == "background":
        nouns = ("background*", "backdrop*", "wall*")
        every = [
            f"{wording} {noun}" if set(wording.split()) <= COLOURS else wording
            for wording in every
            for noun in nouns
        ]
    elif attribute == "earrings":
        every = [w if "earring" in w or "hoop" in w else f"{w} earring*" for w in every]
    return "|".join(dict.fromkeys(every))


def _has_age(wanted: str, prompt: str) -> bool:
    """A number or a range within what is wanted, or the decade's name."""
    low, high = (int(part) for part in (wanted.split("-") * 2)[:2])
    decades = {20: "twenties", 30: "thirties", 40: "forties", 50: "fifties", 60: "sixties"}
    for match in re.finditer(r"\b(\d{1,3})(?:s\b|\s?(?:-|–|to)\s?(\d{1,3})\b|\b)", prompt.lower()):
        first = int(match[1])
        last = int(match[2]) if match[2] else first + 9 * match[0].endswith("s")
        inside = low <= first and last <= high
        # "late twenties" may be said by the decade it lies in
        decade = match[0].endswith("s") and high > low and first <= low and high <= last + 1
        if inside or decade:
            return True
    return high > low and decades.get(low // 10 * 10, "\0") in prompt.lower()


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).lower().replace("'s", "").replace("’s", "")
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    apertures = re.sub(r"\bf ?/ ?(\d)", r"f\1", plain)
    return re.sub(r"(\d) (mm\b|s\b)", r"\1\2", apertures)


def _spelled(words: Iterable[str]) -> list[str]:
    return [SPELLINGS.get(word, word) for word in words]


def _words(text: str) -> list[str]:
    return _spelled(re.findall(r"[a-z0-9]+", _fold(text)))


def _wanted_words(wording: str) -> list[str]:
    return _spelled(re.findall(r"[a-z0-9]+\*?|[一-鿿]+", _fold(wording)))


def _holds(part: str, words: list[str], wanted: str) -> bool:
    if not wanted.isascii():
        return wanted in part
    if wanted.endswith("*"):
        return any(word.startswith(wanted[:-1]) for word in words)
    return any(wanted in (word, word.removesuffix("s"), word.removesuffix("es")) or
               wanted.removesuffix("s") == word for word in words)  # fmt: skip
