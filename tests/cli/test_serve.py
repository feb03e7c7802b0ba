"""`limner serve` and `limner keys`, as they are typed."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from cli.main import run
from tests.serving.conftest import missing
from tests.serving.processes import ServerProcess


def keys(folder: Path, *arguments: str) -> int:
    return run(["keys", *arguments, "--data", str(folder)])


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys(tmp_path, "add", "ada", "--scope", "read", "--rate", "7") == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("lim_")
    assert "\n" not in token, "stdout has the key and nothing else, for a script"
    assert keys(tmp_path, "list", "--json") == 0
    listed = capsys.readouterr().out
    (row,) = json.loads(listed)
    assert (row["name"], row["tenant"], row["may"], row["a minute"]) == ("ada", "ada", "read", 7)
    assert token.rsplit("_", 1)[1] not in listed
    assert keys(tmp_path, "revoke", "ada") == 0
    assert keys(tmp_path, "list") == 0
    assert "ended" in capsys.readouterr().out
    assert keys(tmp_path, "revoke", "ada") == 2
    assert "limner keys list" in capsys.readouterr().err


def test_a_budget_is_set_listed_and_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed() -> object:
        capsys.readouterr()
        assert keys(tmp_path, "list", "--json") == 0
        return json.loads(capsys.readouterr().out)[0]["budget"]

    keys(tmp_path, "add", "ada")
    assert listed() is None
    assert keys(tmp_path, "budget", "ada", "5.00", "--currency", "EUR") == 0
    assert "0 of 5 EUR a month" in capsys.readouterr().out
    assert listed() == {
        "amount": "5", "currency": "EUR", "period": "month", "spent": "0", "reserved": "0"
    }  # fmt: skip
    assert keys(tmp_path, "list") == 0
    assert keys(tmp_path, "budget", "ada", "0.5", "--currency", "EUR", "--period", "ever") == 0
    assert "0 of 0.5 EUR in all" in capsys.readouterr().out
    assert keys(tmp_path, "budget", "ada", "--none") == 0
    assert listed() is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("5.00",), "--currency"),
        (("5.00", "--currency", "euro"), "EUR"),
        (("five", "--currency", "EUR"), "no amount"),
        (("5.00", "--currency", "EUR", "--period", "week"), "month or ever"),
        (("5.00", "--none"), "either"),
        ((), "either"),
    ],
)
def test_a_budget_that_cannot_be_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LIMNER_PRICES", raising=False)
    keys(tmp_path, "add", "ada")
    capsys.readouterr()
    assert keys(tmp_path, "budget", "ada", *arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "a b"), "letters"),
        (("add", "ada", "--scope", "all"), "read, draw, metrics"),
        (("revoke", "nobody"), "holds no server's data"),
        (("list",), "holds no server's data"),
        (("list", "--database", "mysql://x"), "postgresql"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert keys(tmp_path, *arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert said in line


def test_a_port_that_is_taken_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port), "--data", str(tmp_path)]) == 2
    assert "--port 0" in capsys.readouterr().err


def test_a_bundle_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--bundle", "nowhere", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing was made for it"


def test_the_first_start_shows_a_key_and_a_curl_line_that_work_and_ends_well(
    tmp_path: Path,
) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    server = ServerProcess(tmp_path, "--new-key", "shown").start()
    assert server.process is not None
    assert server.process.stdout is not None
    lines = []
    for line in server.process.stdout:
        lines.append(line)
        if "portrait.png" in line:
            break
    said = "".join(lines)
    found = re.search(r"lim_\S+", said)
    assert found is not None
    command = said[said.index("curl ") :]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "portrait.png").read_bytes().startswith(b"\x89PNG")
    headers = {"Authorization": f"Bearer {found[0]}"}
    assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 200
    assert "Traceback" not in server.terminate()
