"""A config is refused in a line before anything is drawn, and says what was probably meant."""

from pathlib import Path

import pytest

from eval.ab.config import parse_config, read_config
from eval.ab.errors import ABError, ArmsAlike, ConfigInvalid, UnknownMetric, UnknownSetting
from eval.ab.examples import ab_example

TWO_ARMS = "[arms.twenty]\nsteps = 20\n[arms.four]\nsteps = 4\n"


def test_the_example_is_a_config() -> None:
    config = parse_config(ab_example(), "the example").config
    assert config.order == ("exact", "fast")
    assert config.gate.better == ("seconds",)
    assert config.price is not None


def test_what_is_left_out_is_as_documented() -> None:
    config = parse_config(TWO_ARMS, "it", name="few").config
    assert (config.name, config.suite, config.bundle) == ("few", "mini-quick", "mini")
    assert config.gate.not_worse == {"psnr": 32.0, "identity": 0.01, "attributes": 0.02}
    assert config.arms["four"].given() == {"steps": "4"}


def test_the_reference_comes_first_whatever_the_order() -> None:
    assert parse_config('reference = "four"\n' + TWO_ARMS, "it").config.order == ("four", "twenty")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("arms = 3", ConfigInvalid, "two or more arms"),
        ("[arms.a]\nsteps = 4\n", ConfigInvalid, "nothing to compare"),
        ("[arms.a]\nsteps = 4\n[arms.b]\nsteps = 4\n", ArmsAlike, "differ in nothing"),
        ('[arms.a]\nbundle = "mini"\n[arms.b]\n', ArmsAlike, "differ in nothing"),
        ("[arms.a]\n[arms.b]\nstep = 4\n", UnknownSetting, 'did you mean "steps"?'),
        ("suit = 1\n" + TWO_ARMS, UnknownSetting, 'did you mean "suite"?'),
        ("[arms.a]\n[arms.b]\nfast = { intervall = 2 }\n", UnknownSetting, '"interval"'),
        (TWO_ARMS + "[gate]\nbetter = ['second']\n", UnknownMetric, 'did you mean "seconds"?'),
        ("metrics = ['likeness']\n" + TWO_ARMS, UnknownMetric, "known: identity"),
        (
            "metrics = ['identity']\n" + TWO_ARMS + "[gate.not_worse]\npsnr = 32\n",
            ConfigInvalid,
            "which metrics does not name",
        ),
        (TWO_ARMS + "[gate]\nnot_worse = {}\n", ConfigInvalid, "a gate asks for something"),
        (TWO_ARMS + "[gate.not_worse]\nidentity = -1\n", ConfigInvalid, "gate.not_worse"),
        ("reference = 'x'\n" + TWO_ARMS, ConfigInvalid, "is no arm"),
        ("[arms.a]\n[arms.b]\nmode = 'quick'\n", ConfigInvalid, "arms.b.mode"),
        ("[arms.a]\n[arms.b]\nleave_out = ['glases']\n", ConfigInvalid, "did you mean"),
        ("[arms.'a/b']\n[arms.b]\nsteps = 3\n", ConfigInvalid, "a/b"),
        ("[arms.a\n", ConfigInvalid, "is no TOML"),
        ('name = ".."\n' + TWO_ARMS, ConfigInvalid, "name"),
        (TWO_ARMS + "[gate]\nbetter = ['psnr']\n", ConfigInvalid, "under [gate.not_worse]"),
        (
            "stop_early = true\n" + TWO_ARMS + "[gate.not_worse]\nkid = 1\n",
            ConfigInvalid,
            "at the end only",
        ),
        ("seed = 'x'\n" + TWO_ARMS, ConfigInvalid, "seed"),
        ("[price]\ndevice_hour = 0\n" + TWO_ARMS, ConfigInvalid, "price.device_hour"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, kind: type[ABError], said: str) -> None:
    with pytest.raises(kind) as caught:
        parse_config(text, "ab.toml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("ab.toml")


def test_a_file_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="limner ab example"):
        read_config(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ab.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        read_config(tmp_path / "ab.toml")


def test_stopping_early_stays_in_the_text_that_is_kept() -> None:
    read = parse_config(TWO_ARMS, "it").stopping_early()
    assert read.config.stop_early
    assert parse_config(read.text, "it").config.stop_early
    with pytest.raises(ConfigInvalid, match="change it there"):
        parse_config("stop_early = false\n" + TWO_ARMS, "it").stopping_early()
