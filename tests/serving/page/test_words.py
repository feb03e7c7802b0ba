"""Both languages say everything, and say the same."""

import re
import tomllib
from importlib.resources import files
from string import Formatter

import pytest

from fusion import Stage
from prompting import Attributes, describe_attributes
from serving.page.controls import FIRST, choices
from serving.page.words import LANGUAGES, Language, chosen_language, presets, words

CHINESE = re.compile(r"[\u4e00-\u9fff]")
TABLES = tomllib.loads((files("serving.page") / "words.toml").read_text(encoding="utf-8"))
KEYS = [f"{section}.{key}" for section, entries in TABLES.items() for key in entries]


def test_every_text_is_there_in_both_languages() -> None:
    lacking = [
        f"{section}.{key} in {language}"
        for section, entries in TABLES.items()
        for key, said in entries.items()
        for language in LANGUAGES
        if not said.get(language, "").strip()
    ]
    assert not lacking
    extra = {lang for entries in TABLES.values() for said in entries.values() for lang in said}
    assert extra == set(LANGUAGES)


def test_both_languages_fill_in_the_same() -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    unlike = [key for key in KEYS if names(words("en")(key)) != names(words("zh")(key))]
    assert not unlike


def test_chinese_is_chinese() -> None:
    english = [key for key in KEYS if not CHINESE.search(words("zh")(key))]
    assert set(english) <= {
        "login.title", "page.language", "result.size",
    }  # fmt: skip
    # The switch's hint and name are in the language that it leads to.
    assert not [key for key in KEYS if CHINESE.search(words("en")(key))
                if not key.startswith("page.language")]  # fmt: skip


def test_every_attribute_and_each_of_its_values_has_a_name() -> None:
    nameless = []
    for described in describe_attributes():
        for language in LANGUAGES:
            assert words(language)(f"attribute.{described.key}")
        named = words("zh").values.get(described.key, {})
        nameless += [(described.key, v) for v in described.values if v not in named]
    assert not nameless


def test_no_value_is_named_that_there_is_not() -> None:
    known = {described.key: set(described.values) for described in describe_attributes()}
    stray = [
        (key, value)
        for key, named in words("zh").values.items()
        for value in named
        if value not in known.get(key, set())
    ]
    assert not stray


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_control_offers_two_things_under_one_name(language: Language) -> None:
    for described in describe_attributes():
        names = [name for name, _ in choices(words(language), described)]
        assert len(set(names)) == len(names), described.key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stage_and_fate_has_words(language: Language) -> None:
    for stage in Stage:
        assert words(language)(f"stage.{stage}")
    for fate in ("kept", "negative", "dropped", "removed"):
        assert words(language)(f"fate.{fate}")


def test_every_error_has_advice() -> None:
    codes = {key for key in TABLES["error"] if not key.endswith("_advice")}
    assert {f"{code}_advice" for code in codes} <= set(TABLES["error"])


def test_every_look_is_one_that_can_be_asked_for() -> None:
    names = [look.name for look in presets()]
    assert len(set(names)) == len(names)
    for look in presets():
        assert set(look.titles) == set(LANGUAGES)
        asked = Attributes(**look.attributes)
        assert set(look.attributes) <= set(FIRST)
        assert asked.model_fields_set == set(look.attributes)


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        ("zh", "en-US", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de-DE,de;q=0.9,zh;q=0.5", "zh"),
        (None, "fr", "en"),
        (None, None, "en"),
        ("null", "", "en"),
    ],
)
def test_a_visitor_is_spoken_to_in_their_language(
    cookie: str | None, accepted: str | None, chosen: str
) -> None:
    assert chosen_language(cookie, accepted) == chosen
