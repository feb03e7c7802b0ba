"""What was drawn and measured, line by line, so that a kill costs at most what was under way.

`journal.jsonl`: a header that says which run it is, then a line for each drawing, written once its
picture lies there, and one for each case when it is measured. Only the last line can be half
written; it is dropped, and its case done again. What is damaged elsewhere is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from eval.ab.errors import JournalInvalid, RunBusy, RunDiffers
from eval.ab.keepsakes import PHOTOS
from eval.ab.results import REPORT_FILE, RESULT_FILE, StageVisit
from eval.files import write_whole

JOURNAL_FILE: Final = "journal.jsonl"
PICTURES: Final = "pictures"
CONFIG_FILE: Final = "config.toml"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Header(_Line):
    """Which run it is. fingerprint: of everything that decides what is drawn; told: in words.

    name: of the run; place: the folder that paths in its config are relative to.
    """

    kind: Literal["header"] = "header"
    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    fingerprint: str
    told: dict[str, str]
    name: str = ""
    place: Path = Path()


class Drawn(_Line):
    """A case drawn in an arm. sha256: of the picture's file; costs: by metric, of the engine's own
    account.
    """

    kind: Literal["drawn"] = "drawn"
    case: int
    arm: str
    picture: str = ""
    sha256: str = ""
    failure: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    size: tuple[int, int] = (0, 0)
    costs: dict[str, float] = Field(default_factory=dict)
    trace: tuple[StageVisit, ...] = ()
    warnings: tuple[str, ...] = ()


class Judged(_Line):
    """What the judges said of a case in an arm: values by metric, answers by attribute."""

    kind: Literal["judged"] = "judged"
    case: int
    arm: str
    values: dict[str, float]
    seen: dict[str, str] = Field(default_factory=dict)


class Spent(_Line):
    """How long the run had been at work when a block was done, in this process."""

    kind: Literal["spent"] = "spent"
    seconds: float


class Memory(_Line):
    """The peak memory of a process that drew with one arm alone."""

    kind: Literal["memory"] = "memory"
    arm: str
    bytes: int


Key = tuple[int, str]  # case, arm
_LINES: Final[TypeAdapter[Header | Drawn | Judged | Spent | Memory]] = TypeAdapter(
    Annotated[Header | Drawn | Judged | Spent | Memory, Field(discriminator="kind")]
)


class Journal:
    """The record of one run, held by one process at a time."""

    def __init__(self, folder: Path, file: IO[bytes]) -> None:
        self.folder = folder
        self.drawn: dict[Key, Drawn] = {}
        self.judged: dict[Key, Judged] = {}
        self.memory: dict[str, int] = {}
        self.seconds = 0.0
        self.header: Header | None = None
        self.remarks: list[str] = []
        self._file = file

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, header: Header, fresh: bool = False) -> Iterator[Journal]:
        """The journal of a run, begun or gone on with.

        fresh: forget what an earlier run left in the folder, and nothing else that lies there.
        Raises RunDiffers where the folder holds another run, or what no run has left; RunBusy,
        JournalInvalid, OSError.
        """
        if not (folder / JOURNAL_FILE).exists() and folder.is_dir() and any(folder.iterdir()):
            raise RunDiffers(
                f"{folder} holds other things than a run: give -o a folder that is empty or new"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / JOURNAL_FILE, "a+b") as file:
            _lock(file, folder)
            if fresh:
                _forget(folder)
                file.truncate(0)
            journal = cls(folder, file)
            journal._read(mend=True)
            if journal.header is None:
                journal._append(header)
            journal.check(header)
            journal._drop_lost_pictures()
            yield journal

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """What a run has come to, also while it goes on; nothing is changed.

        Raises JournalInvalid where there is none, or it is damaged.
        """
        try:
            with open(folder / JOURNAL_FILE, "rb") as file:
                journal = cls(folder, file)
                journal._read(mend=False)
        except FileNotFoundError as error:
            raise JournalInvalid(f"{folder} holds no run: give the folder of one") from error
        if journal.header is None:
            raise JournalInvalid(f"{folder / JOURNAL_FILE} is empty: run limner ab on its config")
        return journal

    def check(self, header: Header) -> None:
        """Raises RunDiffers where it is the journal of another run."""
        if self.header is not None and self.header.fingerprint != header.fingerprint:
            raise RunDiffers(_what_differs(self.folder, self.header, header))

    def draw(self, line: Drawn, picture: Image.Image | None) -> None:
        """Record a drawing; its picture is there before the line is."""
        if picture is not None:
            data = io.BytesIO()
            picture.save(data, "PNG", compress_level=4)
            write_whole(self.folder / line.picture, data.getvalue())
            digest = hashlib.sha256(data.getvalue()).hexdigest()
            line = line.model_copy(update={"sha256": digest})
        self._append(line)
        self.drawn[line.case, line.arm] = line

    def judge(self, line: Judged) -> None:
        """Record what the judges said."""
        self._append(line)
        self.judged[line.case, line.arm] = line

    def remember(self, arm: str, peak_bytes: int) -> None:
        """Record an arm's peak memory."""
        self._append(Memory(arm=arm, bytes=peak_bytes))
        self.memory[arm] = peak_bytes

    def spend(self, seconds: float) -> None:
        """Record time at work, and see to it that all so far is on the disk."""
        self._append(Spent(seconds=seconds))
        self.seconds += seconds
        self._file.flush()
        os.fsync(self._file.fileno())

    def picture(self, key: Key) -> Image.Image | None:
        """The picture of a drawing; None where it failed."""
        drawn = self.drawn[key]
        if not drawn.picture:
            return None
        with Image.open(self.folder / drawn.picture) as image:
            return image.convert("RGB")

    def _append(self, line: _Line) -> None:
        self._file.write(line.model_dump_json(by_alias=True).encode() + b"\n")
        self._file.flush()  # survives a kill of the process; fsync, in spend, one of the machine

    def _read(self, mend: bool) -> None:
        self._file.seek(0)
        end = 0
        for number, text in enumerate(self._file, 1):
            if not text.endswith(b"\n"):
                self.remarks.append(
                    f"the last line of {JOURNAL_FILE} was half written: it is done again"
                )
                if mend:
                    self._file.truncate(end)
                break
            end += len(text)
            try:
                self._take(_LINES.validate_json(text))
            except ValidationError as error:
                raise JournalInvalid(
                    f"{self.folder / JOURNAL_FILE} is damaged in line {number}: restore it, or "
                    "remove the folder (limner ab --fresh does) to begin anew"
                ) from error
        self._file.seek(0, os.SEEK_END)

    def _take(self, line: Header | Drawn | Judged | Spent | Memory) -> None:
        match line:
            case Header():
                self.header = line
            case Drawn():
                self.drawn[line.case, line.arm] = line
            case Judged():
                self.judged[line.case, line.arm] = line
            case Memory():
                self.memory[line.arm] = line.bytes
            case Spent():
                self.seconds += line.seconds

    def _drop_lost_pictures(self) -> None:
        """A drawing whose picture is gone or another is no drawing."""
        lost = [key for key, line in self.drawn.items() if not _is_whole(self.folder, line)]
        for key in lost:
            del self.drawn[key]
            self.judged.pop(key, None)
        if lost:
            self.remarks.append(f"{len(lost)} pictures are gone or changed: they are drawn again")


def fingerprint(told: Mapping[str, str]) -> str:
    """sha256 of what decides what is drawn."""
    digest = hashlib.sha256()
    for name in sorted(told):
        digest.update(f"{name}\0{told[name]}\n".encode())
    return digest.hexdigest()


def _is_whole(folder: Path, line: Drawn) -> bool:
    if not line.picture:
        return True
    try:
        data = (folder / line.picture).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == line.sha256


def _what_differs(folder: Path, old: Header, new: Header) -> str:
    names = {*old.told, *new.told}
    changed = sorted(name for name in names if old.told.get(name) != new.told.get(name))
    verb = "differs" if len(changed) == 1 else "differ"
    return (
        f"{folder} holds another run ({', '.join(changed)} {verb}): give -o another folder, or "
        "--fresh to begin anew there"
    )


def _forget(folder: Path) -> None:
    """Remove what a run wrote, but for its journal, which is locked."""
    for name in (RESULT_FILE, REPORT_FILE, CONFIG_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (PICTURES, PHOTOS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RunBusy(
            f"another process is at work on {folder}: wait for it, or look with "
            f"limner ab report {folder}"
        ) from error
