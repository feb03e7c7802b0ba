"""The journal: a kill costs what was under way, a half line is done again, damage is refused."""

from pathlib import Path

import pytest
from PIL import Image

from eval.ab.errors import JournalInvalid, RunBusy, RunDiffers
from eval.ab.journal import JOURNAL_FILE, Drawn, Header, Journal, Judged

HEADER = Header(fingerprint="a", told={"seed": "0"})


def _fill(folder: Path, cases: int = 2) -> None:
    with Journal.opened(folder, HEADER) as journal:
        for case in range(cases):
            line = Drawn(case=case, arm="x", picture=f"pictures/0/{case}.png")
            journal.draw(line, Image.new("RGB", (8, 8), (case, 0, 0)))
            journal.judge(Judged(case=case, arm="x", values={"identity": 0.5}))
        journal.spend(2.0)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    _fill(tmp_path)
    journal = Journal.read(tmp_path)
    assert set(journal.drawn) == set(journal.judged) == {(0, "x"), (1, "x")}
    assert journal.seconds == 2.0
    picture = journal.picture((1, "x"))
    assert picture is not None
    assert picture.getpixel((0, 0)) == (1, 0, 0)


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_half_written_last_line_is_dropped_and_told(tmp_path: Path, cut: int) -> None:
    _fill(tmp_path)
    file = tmp_path / JOURNAL_FILE
    whole = file.read_bytes().splitlines(keepends=True)[:-1]  # the line of time goes
    file.write_bytes(b"".join(whole)[:-cut])
    with Journal.opened(tmp_path, HEADER) as journal:
        assert (1, "x") in journal.drawn
        assert (1, "x") not in journal.judged
        assert "half written" in journal.remarks[0]
        journal.judge(Judged(case=1, arm="x", values={}))
    assert set(Journal.read(tmp_path).judged) == {(0, "x"), (1, "x")}


def test_damage_in_the_middle_is_refused_with_its_line(tmp_path: Path) -> None:
    _fill(tmp_path)
    file = tmp_path / JOURNAL_FILE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b'{"kind": "drawn", "ca\n', *lines[3:]]))
    with pytest.raises(JournalInvalid, match="line 3") as caught, Journal.opened(tmp_path, HEADER):
        pass
    assert "--fresh" in str(caught.value)


def test_a_picture_that_is_gone_or_changed_is_drawn_again(tmp_path: Path) -> None:
    _fill(tmp_path, cases=3)
    (tmp_path / "pictures/0/0.png").unlink()
    (tmp_path / "pictures/0/1.png").write_bytes(b"x")
    with Journal.opened(tmp_path, HEADER) as journal:
        assert set(journal.drawn) == set(journal.judged) == {(2, "x")}
        assert "2 pictures" in journal.remarks[0]


def test_another_run_in_the_folder_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    _fill(tmp_path)
    other = Header(fingerprint="b", told={"seed": "1"})
    with (
        pytest.raises(RunDiffers, match=r"seed differs.*--fresh"),
        Journal.opened(tmp_path, other),
    ):
        pass


def test_two_processes_never_share_a_run(tmp_path: Path) -> None:
    with (
        Journal.opened(tmp_path, HEADER),
        pytest.raises(RunBusy, match="another process"),
        Journal.opened(tmp_path, HEADER),
    ):
        pass


def test_beginning_anew_takes_the_lock_first_and_leaves_what_is_the_users(tmp_path: Path) -> None:
    """--fresh removed the journal under a process at work, and a folder of photos called photos."""
    _fill(tmp_path)
    mine = tmp_path / "photos/ada.png"
    mine.parent.mkdir()
    mine.write_bytes(b"x")
    with (
        Journal.opened(tmp_path, HEADER) as held,
        pytest.raises(RunBusy),
        Journal.opened(tmp_path, HEADER, fresh=True),
    ):
        pass
    assert (tmp_path / held.drawn[0, "x"].picture).exists()
    with Journal.opened(tmp_path, Header(fingerprint="b", told={}), fresh=True) as journal:
        assert not journal.drawn
    assert not (tmp_path / "pictures").exists()
    assert mine.exists()


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text("x", encoding="utf-8")
    with pytest.raises(RunDiffers, match="other things"), Journal.opened(tmp_path, HEADER):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["suite.toml"]


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalInvalid, match="holds no run"):
        Journal.read(tmp_path)


def test_a_failure_is_recorded_without_a_picture(tmp_path: Path) -> None:
    with Journal.opened(tmp_path, HEADER) as journal:
        journal.draw(Drawn(case=0, arm="x", failure="FaceNotFound: none"), None)
        assert journal.picture((0, "x")) is None
    with Journal.opened(tmp_path, HEADER) as journal:
        assert journal.drawn[0, "x"].failure
