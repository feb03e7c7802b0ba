"""Refusals in many words → the few that the readers of a clause know, before a text is parted.

"no mustache, beard or glasses" says "no" once for three things, 没有眼镜、胡子 once for two; who
"never goes without glasses" wears them.
"""

import re
from typing import Final

from prompting.lexicon import fold, lexicon
from prompting.parser.words import ARTICLES, BOUNDARIES, NEGATIONS
from prompting.schema import ACCESSORIES
from prompting.values import NO, YES

THINGS: Final = frozenset({*ACCESSORIES, "clothing", "marks"})

_ANSWERS: Final = re.compile(
    r"(?P<thing>[^\W\d_][\w -]{0,30}?)\s*[:=]\s*(?P<answer>[^\W_]+)(?=\s*(?:[,;.!\n，。；、]|$))"
)
_NOT: Final = (
    r"(?:never|not|don't|dont|doesn't|didn't|isn't|aren't|wasn't|can't|cannot|won't|shouldn't)"
)
_ENGLISH: Final = tuple(
    (re.compile(said, re.IGNORECASE), meant)
    for said, meant in (
        (rf"\b{_NOT} (?:(?:to|you|ever) )?(?:forget|omit|miss)\b(?: (?:to|about))?", ","),
        (r"\b(?:(?:has|have|had) )?(?:stopped|stops?|quits?) (?:wearing|using|having)\b",
         "without"),
        (r"\b(?:take|takes|taking|took) off\b", "without"),
        (r"\b(?:get|gets|getting|got) rid of\b", "without"),
        (r"\b(?:anything|everything) but\b", "without"),
        (r"\b(?:free of|free from|devoid of|instead of|rather than|no more(?! than))\b",
         "without"),
        (r"\b(?:remov(?:e|es|ing)|minus|omit|omits|omitting|hates?|hating|dislikes?|lacks?|lacking)\b",
         "without"),
        (r"\b(?:skip|drop|lose|delete|ditch) (?=(?:the|his|her|their|any) )", "without "),
        (r"\b([\w-]+) (?:is |are )?(?:removed|omitted|excluded|left out|taken off)\b",
         r"without \1"),
        (r"\bnot only\b|\bnot just\b", ""),
(rf"\b{_NOT} (?:(?:ever|be|been|is|seen|shown|go|goes|out|leaves?) ){{0,3}}without\b", ","),
    )
)  # fmt: skip
_FLAG: Final = re.compile(r"(?<!\S)--no[ =:]+((?:(?!\s--\w).)+)", re.DOTALL)

_CHINESE: Final = tuple(
    (re.compile(said), meant)
    for said, meant in (
        (r"([一二三四五六七八九])、(?=[一二三四五六七八九]十?[多几]?岁)", r"\1"),
        (r"(?:不要|别|请勿|勿|不能|不可|不会|没有?)"
         r"(?:忘记|忘了|忘掉|忘|漏掉|漏了|落下|缺少|少了|去掉|去除|摘掉|摘下|脱掉|拿掉)", ""),
        (r"(?:不是|不得|不能|不可以|不可|不会|不要|并非|从不|别)"
         r"(?:不要|不|没有|没|无)(?!同|锈|对称|规则)", ""),
        (r"(?:离不开|少不了)", ""),
        (r"(?:摘掉|摘下|摘了|脱掉|脱下|拿掉|去掉|去除|除去|剃掉|刮掉"
         r"|无需|无须|不需要|不用|不想要|不想"
         r"|请勿|请不要|避免|禁止|切勿|勿|讨厌|不喜欢|不含|缺少|不加|不画)(?:了)?", "不要"),
        (r"(?<![特性区分个级类])别(?=[戴带穿留有化加画要让给出长])", "不要"),
        (r"不是(?=(?:很|太|那么|特别|非常)?(?:\w{1,4}$|\w{1,4}[，。,、]))", "不要"),
        (r"不(?=(?:很|太|那么|特别|非常)\w)", "不要"),
    )
)  # fmt: skip


def plainly(text: str) -> str:
    """A text, in NFKC, in which every refusal is said where its thing stands."""
    text = _ANSWERS.sub(_answered, text)
    for said, meant in _CHINESE:
        text = said.sub(meant, text)
    text = _FLAG.sub(lambda flag: ", no " + re.sub(r"\s*[,;、]\s*", " or ", flag[1]), text)
    for said, meant in _ENGLISH:
        text = said.sub(meant, text)
    return _listed(text)


def is_thing(words: str) -> bool:
    """Whether words name something that can be worn or left away, with nothing before it."""
    known = lexicon().heard.get(fold(words))
    if known:
        return known[0] in THINGS
    return any(fold(words) in lexicon()[name].nouns for name in THINGS)


def _answered(matched: re.Match[str]) -> str:
    """ "glasses: no" → "no glasses"."""
    thing, answer = matched["thing"], fold(matched["answer"])
    is_chinese = not thing.isascii()
    if answer in NO:
        return f"没有{thing}" if is_chinese else f"no {thing}"
    return thing if answer in YES else matched[0]


def _listed(text: str) -> str:
    """ "no mustache, beard or glasses" → "no mustache or beard or glasses"."""
    parts = re.split(r"(,)", text)
    at = 0
    while at < len(parts):
        if _refuses_to_its_end(parts[at]):
            last = _last_of_list(parts, at)
            for between in range(at + 1, last, 2):
                starts = _words(parts[between + 1])[:1]
                parts[between] = "" if starts and starts[0] in {"or", "nor"} else " or"
            if last > at and "and" in (words := _words(parts[last])):
                parts[last] = re.sub(
                    r"\band\b", "or or" if words[0] != "and" else "", parts[last], count=1
                )
                parts[last] = parts[last].replace("or or", "or")
            at = last
        at += 2
    return "".join(parts)


def _last_of_list(parts: list[str], first: int) -> int:
    """The part that ends a list of refused things with "or", "nor" or "and"; else the first."""
    for at in range(first + 2, len(parts), 2):
        words = _words(parts[at])
        end = next((i for i, word in enumerate(words) if _ends_list(word)), len(words))
        items = _items(words[:end])
        joints = {"or", "nor", "and"} & set(words[:end])
        if not items or not all(map(_is_bare, items)):
            return first
        if joints:
            if "and" in joints and not all(is_thing(" ".join(item)) for item in items):
                return first
            return at
        if end < len(words):
            return first
    return first


def _refuses_to_its_end(part: str) -> bool:
    """Whether what a part refuses last is a thing, after which it says no more."""
    words = re.split(r"[.!?;\n]", part)[-1].split()
    plain = [fold(word).strip("\"'") for word in words]
    at = max((i for i, word in enumerate(plain) if word in NEGATIONS), default=None)
    if at is None:
        return False
    rest = plain[at + 1 :]
    while rest and rest[0] in _LEADING:
        rest = rest[1:]
    if any(_ends_list(word) for word in rest):
        return False
    items = _items(rest)
    return bool(items) and all(map(_is_bare, items))


_LEADING: Final = ARTICLES | {
    "wear", "wearing", "with", "have", "having", "be", "put", "show", "include", "draw", "add",
    "use", "want", "to", "do", "please", "need", "get", "has", "is", "are",
}  # fmt: skip


def _ends_list(word: str) -> bool:
    return word in BOUNDARIES - {"and", "nor"} or word in {"he", "she"}


def _words(part: str) -> list[str]:
    """The words of a part up to the end of its sentence."""
    sentence = re.split(r"[.!?;\n]", part)[0]
    return [fold(word).strip("\"'") for word in sentence.split()]


def _items(words: list[str]) -> list[list[str]]:
    """What stands between "or" and "and", without articles."""
    items: list[list[str]] = [[]]
    for word in words:
        if word in {"or", "nor", "and"}:
            items.append([])
        elif word not in ARTICLES:
            items[-1].append(word)
    return [item for item in items if item]


def _is_bare(item: list[str]) -> bool:
    """A thing by its name alone, or one word that the lexicon does not know."""
    words = " ".join(item)
    if is_thing(words):
        return True
    is_strange = words not in lexicon().heard and words not in lexicon().heard_before
    return len(item) == 1 and is_strange and not words.endswith(("ing", "ed"))
