"""Ages in running text, English and Chinese: digits, numerals, decades."""

import re
from typing import Final

from prompting.ages import age_of

_ONES: Final = "one two three four five six seven eight nine".split()  # noqa: SIM905
_TEENS: Final = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_NUMBERS: Final = {
    **{word: 1 + i for i, word in enumerate(_ONES)},
    **{word: 10 + i for i, word in enumerate(_TEENS)},
    **{word: 20 + 10 * i for i, word in enumerate(_TENS)},
}
_DECADES: Final = {
    **{f"{tens.removesuffix('y')}ies": 20 + 10 * i for i, tens in enumerate(_TENS)},
    **{f"{decade}s": decade for decade in range(20, 100, 10)},
    **{f"{decade}'s": decade for decade in range(20, 100, 10)},
}
_WORD: Final = (
    rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS + _ONES)})"
)
_NUMBER: Final = rf"(\d{{1,3}}|{_WORD})"
_RANGE: Final = rf"{_NUMBER}(?:(?: ?(?:-|–|~) ?| to ){_NUMBER})?"
_ABOUT: Final = r"(?:about |around |approximately |roughly |circa |nearly |almost |some )?"

YEARS: Final = re.compile(
    rf"(?<!\S){_ABOUT}(?:aged?:? )?{_ABOUT}{_RANGE}"
    r"(?:[- ](?:years?|yrs?|y)[- .]?(?:old|of age|o\b\.?)|(?: ?yo| ?y\.o\.?|y/o))(?!\S)"
    rf"|(?<!\S)(?:aged?:?|age of) {_ABOUT}{_RANGE}(?: years)?(?!\S)"
    rf"|(?<!\S)aged? between {_NUMBER} and {_NUMBER}(?!\S)"
    rf"|(?<!\S)of {_RANGE} years(?: of age)?(?!\S)"
    rf"|(?<!\S)(?:around|about|approximately|roughly) ([1-9]\d|{_WORD})$"
)
# In a person's decade: "in her early thirties", "mid-30s".
DECADE: Final = re.compile(
    rf"(?<!\S)in (?:her|his|their) (?:(early|mid|late)[- ])?({'|'.join(_DECADES)})(?!\S)"
    rf"|(?<!\S)(early|mid|late)[- ]({'|'.join(_DECADES)})(?!\S)"
)
BARE: Final = re.compile(rf"{_ABOUT}{_NUMBER}|({'|'.join(_DECADES)})")

_DIGITS: Final = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}
_NUMERAL: Final = r"(?:\d{1,3}|[一二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九两])"
CHINESE_YEARS: Final = re.compile(
    rf"(?:年龄)?(?:大约|大概|约)?(?:(?P<tens>[二三四五六七八九]?十)(?:多|几|来)|(?P<from>{_NUMERAL})"
    rf"(?:\s*(?:-|–|~|到|至)\s*(?P<to>{_NUMERAL}))?)\s*岁(?:左右|上下|出头)?"
)


def years_in(matched: re.Match[str]) -> str | None:
    """The age in a match of YEARS, as the schema takes it; None if nobody can be that old."""
    numbers = [_number(part) for part in matched.groups() if part is not None]
    return _age("-".join(map(str, numbers)))


def decade_in(matched: re.Match[str]) -> str:
    """The decade in a match of DECADE, as the schema takes it."""
    part, name = matched.groups()[:2] if matched[2] else matched.groups()[2:]
    return str(age_of(f"{part or ''} {_DECADES[name]}s".strip()))


def bare_years(words: str) -> str | None:
    """A number of years or a decade that stands alone between commas: "58", "30s"."""
    matched = BARE.fullmatch(words)
    if matched is None:
        return None
    if matched[2]:
        return str(age_of(f"{_DECADES[matched[2]]}s"))
    number = _number(matched[1])
    return str(number) if 5 <= number <= 110 else None


def chinese_years_in(matched: re.Match[str]) -> str | None:
    """The age in a match of CHINESE_YEARS; None if nobody can be that old."""
    if matched["tens"]:
        return str(age_of(f"{_numeral(matched['tens'])}s"))
    numbers = [_numeral(part) for part in (matched["from"], matched["to"]) if part]
    return _age("-".join(map(str, numbers)))


def _age(words: str) -> str | None:
    try:
        return str(age_of(words))
    except ValueError:
        return None


def _number(words: str) -> int:
    if words.isdecimal():
        return int(words)
    return sum(_NUMBERS[word] for word in re.split("[- ]", words))


def _numeral(words: str) -> int:
    if words.isdecimal():
        return int(words)
    tens, ten, ones = words.rpartition("十")
    return 10 * (_DIGITS[tens] if tens else 1) * bool(ten) + (_DIGITS[ones] if ones else 0)
