"""The claim: the server costs an engine at most 5 % of its throughput, and a request 15 ms.

The same portraits, each of a photo and words, drawn by an engine in this process and by `limner
serve` in one of its own whose clients keep their connections; in turns, so that both have the same
weather. The server checks, seals and keeps photo and job, encodes, seals and keeps the picture.

    python benchmarks/server.py [--pictures 48] [--rounds 3]
"""

import argparse
import base64
import http.client
import io
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from _machine import Figures, record
from _record import LIMNER
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from eval.people import held_out_people, snapshot
from fusion import Engine, FusionRequest, Identity

AT_ONCE = 8
STEPS = 20
FACES = 6
FIRST_PERSON = 97_000  # of the held-out seeds
SINGLES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    photos = _photos()
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(Path(folder)) as served,
        Engine.load("mini") as engine,
        Progress() as bar,
    ):
        ways: dict[str, Callable[[int], object]] = {
            "engine": lambda number: engine.fuse(_request(photos, number)),
            "server": lambda number: served.draw(_body(photos, number)),
        }
        for draw in ways.values():
            _seconds(draw, range(FACES), AT_ONCE)  # models, threads and connections are there now
        task = bar.add_task("in turns", total=2 * given.rounds)
        rates: dict[str, list[float]] = {way: [] for way in ways}
        alone: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(given.rounds):
            for way in sorted(ways, reverse=bool(turn % 2)):
                numbers = range(1000 * (turn + 1), 1000 * (turn + 1) + given.pictures)
                served.forget_connections()  # the server closed what idled through a turn
                rates[way].append(given.pictures / _seconds(ways[way], numbers, AT_ONCE))
                alone[way] += [_seconds(ways[way], [n], 1) for n in range(SINGLES)]
                bar.advance(task)
    best = {way: max(found) for way, found in rates.items()}
    middle = {way: statistics.median(found) for way, found in alone.items()}
    lost = 1 - best["server"] / best["engine"]
    added = (middle["server"] - middle["engine"]) * 1000
    figures: Figures = {
        "engine_pictures_a_second_at_8": best["engine"],
        "server_pictures_a_second_at_8": best["server"],
        "server_throughput_lost": lost,
        "server_added_ms_of_one_request": added,
        "engine_seconds_of_one_request": middle["engine"],
    }
    record("server", figures)
    Console().print(
        f"{AT_ONCE} callers at once: the engine draws {best['engine']:.2f} pictures a second, the "
        f"server {best['server']:.2f}: {lost:.1%} less. One caller waits {added:.1f} ms longer.\n"
    )


class Served:
    """`limner serve` in a folder, with a connection for each thread that asks."""

    def __init__(self, folder: Path) -> None:
        data = ["--data", str(folder)]
        self._key = subprocess.run(
            [LIMNER, "keys", "add", "bench", "--rate", "1000000", *data],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        self._process = subprocess.Popen(
            [LIMNER, "serve", "--port", "0", *data], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().split()[0]
        self._port = int(address.rpartition(":")[2])
        self._idle: list[http.client.HTTPConnection] = []

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def forget_connections(self) -> None:
        """Begin with new ones."""
        while self._idle:
            self._idle.pop().close()

    def draw(self, body: bytes) -> None:
        """One portrait, to the last byte of its answer."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/portraits", body, headers)
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == 200, data[:300]
        self._idle.append(connection)


def _photos() -> list[bytes]:
    rng = np.random.default_rng(FIRST_PERSON)
    found = []
    for person in held_out_people(FACES, FIRST_PERSON):
        buffer = io.BytesIO()
        Image.fromarray(snapshot(person, rng).image).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def _attributes(number: int) -> dict[str, object]:
    return {"age": 20 + number % 50, "glasses": number % 2 == 0}


def _request(photos: list[bytes], number: int) -> FusionRequest:
    photo = Identity(image=photos[number % FACES])
    return FusionRequest(
        identities=(photo,), attributes=_attributes(number), steps=STEPS, seed=number
    )


def _body(photos: list[bytes], number: int) -> bytes:
    photo = base64.b64encode(photos[number % FACES]).decode()
    return json.dumps(
        {
            "identities": [{"image": photo}],
            "attributes": _attributes(number),
            "steps": STEPS,
            "seed": number,
        }
    ).encode()


def _seconds(draw: Callable[[int], object], numbers: range | list[int], callers: int) -> float:
    started = time.perf_counter()
    if callers == 1:
        for number in numbers:
            draw(number)
    else:
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(draw, numbers))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
