"""`limner prompt` and `limner cache`: what becomes of words, and what is kept of them."""

import json
from pathlib import Path

import pytest

from cli import run

Shown = pytest.CaptureFixture[str]


def test_what_became_of_every_word_is_shown(tiny_bundle: Path, capsys: Shown) -> None:
    text = "a stunning portrait of a smiling man holding a kite, without glasses"
    options = ["prompt", "--text", text, "--bundle", str(tiny_bundle)]
    assert run([*options, "--explain"]) == 0
    shown = capsys.readouterr().out
    for word in ("smiling", "kite", "glasses", "negative prompt", "stunning", "before", "after"):
        assert word in shown
    assert run([*options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "stunning" in told["removed"]
    assert len(told["token_ids"]) == told["tokens"]
    fates = {one["said"]: one["fate"] for one in told["decisions"]}
    assert fates["glasses"] == "negative"


def test_the_keys_of_set_are_listed_with_their_values(capsys: Shown) -> None:
    assert run(["prompt", "--keys", "--json"]) == 0
    told = {one["key"]: one for one in json.loads(capsys.readouterr().out)}
    assert {"age", "expression", "hair", "light", "exclude"} <= set(told)
    assert "smiling" in told["expression"]["values"]
    assert run(["prompt", "--keys"]) == 0
    assert "smiling" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "nothing to say"),
        (["--set", "hair_style=curly", "--set", "hair_length=bald"], "bald"),
        (["--text", "a (man:1.2)"], "weights"),
        (["--text", "a ((man"], "("),
        (["--text", "   "], "nothing to say"),
        (["--text", "hat", "--tokenizer", "/tmp"], "holds no tokenizer.json"),
        (["--set", "glases"], "glasses"),
    ],
)
def test_words_that_cannot_be_said_are_one_line(
    options: list[str], said: str, capsys: Shown
) -> None:
    assert run(["prompt", *options]) == 2
    refused = capsys.readouterr()
    assert said in refused.err
    assert refused.err.count("\n") == 1
    assert refused.out == ""


@pytest.fixture
def warmed(tiny_bundle: Path, tmp_path: Path, capsys: Shown) -> Path:
    """A pool of three prompts of the tiny bundle."""
    requests = tmp_path / "requests.jsonl"
    requests.write_text(
        '{"attributes": {"gender": "woman", "age": 35}}\na smiling man in a park\n\n'
        '{"text": "a man with glasses"}\n',
        encoding="utf-8",
    )
    folder = tmp_path / "pool"
    options = ["--bundle", str(tiny_bundle), "--folder", str(folder)]
    assert run(["cache", "warm", str(requests), *options]) == 0
    assert "prompts" in capsys.readouterr().out
    return folder


def test_prompts_are_encoded_ahead_and_what_is_held_is_told(
    warmed: Path, tiny_bundle: Path, capsys: Shown
) -> None:
    assert run(["cache", "stats", "--folder", str(warmed), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held"][0]["prompts"] == 4  # the negative prompt is one, too
    assert told["bytes"] > 0
    assert run(["cache", "stats", "--folder", str(warmed)]) == 0
    assert "everyone" in capsys.readouterr().out
    options = ["--bundle", str(tiny_bundle), "--folder", str(warmed)]
    assert run(["cache", "warm", "--set", "age=35", "--set", "gender=woman", *options]) == 0
    assert "154 of 154 positions were reused" in capsys.readouterr().out


def test_a_pool_is_checked_and_saved_elsewhere(
    warmed: Path, tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    other = tmp_path / "other"
    options = ["--bundle", str(tiny_bundle), "--folder", str(warmed)]
    assert run(["cache", "save", str(other), *options]) == 0
    assert run(["cache", "stats", "--folder", str(other)]) == 0
    assert run(["cache", "save", str(warmed), *options]) == 2
    capsys.readouterr()
    states = next(warmed.glob("states-*.safetensors"))
    states.write_bytes(states.read_bytes()[:-10])
    assert run(["cache", "save", str(tmp_path / "third"), *options]) == 2
    refused = capsys.readouterr().err
    assert "cut short" in refused
    assert refused.count("\n") == 1


def test_a_portrait_starts_from_the_pool(
    warmed: Path, tiny_bundle: Path, tmp_path: Path, capsys: Shown
) -> None:
    words = ["--set", "gender=woman", "--set", "age=35", "--steps", "1", "--json"]
    place = ["--bundle", str(tiny_bundle), "--cache", str(warmed), "-o", str(tmp_path / "o.png")]
    assert run(["fuse", *words, *place]) == 0
    usage = json.loads(capsys.readouterr().out)["usage"]
    assert (usage["positions_computed"], usage["positions_reused"]) == (0, 154)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"attributes": {"age": 900}}', "line 1"),
        ('{"attributes": {"age": 30}, "steps": 4}', "only attributes and text"),
        ('{"attributes": ', "line 1"),
        ('{"attributes": 5}', "line 1"),
        ("a man with (a hat:1.3)", "line 1"),
        ("", "holds no requests"),
    ],
)
def test_a_bad_line_of_requests_is_named_before_anything_is_loaded(
    line: str, said: str, tmp_path: Path, capsys: Shown
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(line, encoding="utf-8")
    assert run(["cache", "warm", str(requests), "--folder", str(tmp_path / "pool")]) == 2
    refused = capsys.readouterr().err
    assert said in refused
    assert refused.count("\n") == 1
    assert not (tmp_path / "pool").exists()


def test_a_damaged_pool_is_told_by_stats(warmed: Path, capsys: Shown) -> None:
    states = next(warmed.glob("states-*.safetensors"))
    states.write_bytes(states.read_bytes()[:-1])
    assert run(["cache", "stats", "--folder", str(warmed)]) == 2
    assert "cut short" in capsys.readouterr().err


def test_words_cannot_steer_the_terminal(tiny_bundle: Path, capsys: Shown) -> None:
    text = "a \x1b]red hat"
    assert run(["prompt", "--text", "a \x1bred hat", "--bundle", str(tiny_bundle)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert run(["prompt", "--text", text + " (hat"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_bundles_of_one_name_in_two_folders_keep_pools_apart(tmp_path: Path) -> None:
    from cli.cache import default_folder

    places = [tmp_path / "one" / "mine", tmp_path / "two" / "mine"]
    for place in places:
        place.mkdir(parents=True)
    assert default_folder("mini").name == "mini"
    assert len({default_folder(str(place)) for place in places}) == 2
