"""`--set` on the command line."""

import pytest

from prompting import Attributes, InvalidAttribute, UnknownAttribute, parse_setting, parse_settings


@pytest.mark.parametrize(
    ("setting", "parsed"),
    [
        ("age=35", ("age", "35")),
        ("glasses", ("glasses", True)),
        ("hat=none", ("hat", "none")),
        (" Hat = straw ", ("hat", "straw")),
        ("phrases=a=b", ("phrases", "a=b")),
    ],
)
def test_a_setting_is_a_key_and_a_value(setting: str, parsed: tuple[str, str | bool]) -> None:
    assert parse_setting(setting) == parsed


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownAttribute, match='did you mean "glasses"'):
        parse_setting("glases")


@pytest.mark.parametrize("setting", ["age", "hair", "phrases"])
def test_only_accessories_stand_alone(setting: str) -> None:
    with pytest.raises(InvalidAttribute, match=f'write "{setting}='):
        parse_setting(setting)


@pytest.mark.parametrize("setting", ["", "=", "=3"])
def test_a_setting_without_a_key_is_refused(setting: str) -> None:
    with pytest.raises(UnknownAttribute):
        parse_setting(setting)


def test_settings_become_attributes() -> None:
    settings = ["age=60", "glasses", "hat=none", "phrases=a dog", "phrases=a cat", "exclude=blur"]
    assert parse_settings(settings) == Attributes(
        age=60, glasses=True, hat=False, phrases=["a dog", "a cat"], exclude=["blur"]
    )


def test_the_same_key_with_two_values_is_refused() -> None:
    assert parse_settings(["age=60", "age=60"]).age == 60
    with pytest.raises(InvalidAttribute, match="set twice"):
        parse_settings(["age=60", "age=61"])


def test_an_empty_value_is_refused() -> None:
    with pytest.raises(InvalidAttribute, match=r"^hair: is empty"):
        parse_settings(["hair="])
