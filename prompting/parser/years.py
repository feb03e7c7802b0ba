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
_DIGIT: Final = "[一二三四五六七八九两]"
_NUMERAL: Final = (
    rf"(?:\d{{1,3}}|一?百(?:零?{_DIGIT}|{_DIGIT}?十{_DIGIT}?)?|{_DIGIT}?十{_DIGIT}?|{_DIGIT})"
)
# 十七八岁 is 17 to 18, 七八十岁 70 to 80, 三十出头 a little over 30.
CHINESE_YEARS: Final = re.compile(
    rf"(?:年龄)?(?:大约|大概|约)?(?<![零一二三四五六七八九十百千万两\d.])(?:"
    rf"(?P<before>{_DIGIT}?十)?(?P<one>{_DIGIT})(?P<other>{_DIGIT})(?P<ten>十)?多?\s*岁(?:左右|上下)?"
    rf"|(?P<just>{_DIGIT}?十|[1-9]0)\s*岁?\s*出头"
    rf"|(?:(?P<tens>[二三四五六七八九]?十)(?:多|几|来)|(?P<from>{_NUMERAL})"
    rf"(?:\s*(?:-|–|~|到|至)\s*(?P<to>{_NUMERAL}))?)\s*岁(?:左右|上下|半|多)?)"
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
    if matched["one"]:
        return _pair_of_years(matched)
    if matched["just"]:
        youngest = _numeral(matched["just"])
        return _age(f"{youngest}-{youngest + 4}")
    if matched["tens"]:
        return str(age_of(f"{_numeral(matched['tens'])}s"))
    numbers = [_numeral(part) for part in (matched["from"], matched["to"]) if part]
    return _age("-".join(map(str, numbers)))


def _pair_of_years(matched: re.Match[str]) -> str | None:
    """Two neighbours among numbers: 八九岁, 十七八岁, 七八十岁."""
    first, last = _DIGITS[matched["one"]], _DIGITS[matched["other"]]
    tens = _numeral(matched["before"]) if matched["before"] else 0
    times = 10 if matched["ten"] else 1
    if first >= last or (tens and times > 1):
        return None
    return _age(f"{tens + first * times}-{tens + last * times}")


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
    hundred, is_more, words = words.rpartition("百")
    if is_more:
        rest = words.removeprefix("零")
        return 100 * (_DIGITS[hundred] if hundred else 1) + (_numeral(rest) if rest else 0)
    tens, ten, ones = words.rpartition("十")
    return 10 * (_DIGITS[tens] if tens else 1) * bool(ten) + (_DIGITS[ones] if ones else 0)
