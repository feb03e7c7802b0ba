"""A ledger as a month of work would leave it: tenants, bundles, failures, corrections, two price
tables; the same lines every time.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from fusion import Ending, Ledger, Opening, Quantity, read_prices

FIRST_DAY = datetime(2026, 10, 26, tzinfo=UTC)
HOSTILE = '<b onclick="x">=1+1</b></script>'
SPRING = """name = "our own GPU"
currency = "EUR"
bill_unfinished = false
[[price]]
item = "denoiser_time"
amount = "2.10"
per = "hour"
[[price]]
item = "time.condition"
amount = "1.05"
per = "hour"
[[price]]
item = "time.analyse"
amount = "1.05"
per = "hour"
[[price]]
item = "images"
amount = "0.0005"
"""
AUTUMN = (
    SPRING.replace("2.10", "2.60")
    .replace("our own GPU", "our own GPU, dearer")
    .replace("bill_unfinished = false", "bill_unfinished = true")
)
DOLLARS = 'name = "resale"\ncurrency = "USD"\n[[price]]\nitem = "images"\namount = "0.02"\n'

_TENANTS = (("atelier", 6), ("school", 4), ("print shop", 2), ("", 1))
_BUNDLES = (("mini", 3), ("sd15-faceid", 2))
_TEMPLATES = (("age", "gender"), ("age", "glasses", "text"), ("hat", "text"), ("prompt",), ())
_MS = 10**6
Where = TypeVar("Where", str, Path)


def sample_ledger(
    where: Where, days: int = 30, requests_a_day: int = 8, *, dollars: bool = False, seed: int = 1
) -> Where:
    """Write it; half of the days have the first table, the rest the second.

    where: a file or a database's address, which is given back.
    """
    rng = random.Random(seed)
    clock = [FIRST_DAY.timestamp()]
    number = 0
    spans = [(SPRING, 0, days // 2), (AUTUMN, days // 2, days)]
    if dollars:
        spans.append((DOLLARS, max(days - 3, 0), days))
    for text, begin, end in spans:
        table = read_prices(text)
        with Ledger(where, table, source="serve", now=lambda: clock[0]) as ledger:
            for day in range(begin, end):
                busy = 0.5 if (FIRST_DAY + timedelta(days=day)).weekday() >= 5 else 1.0
                for _ in range(round(requests_a_day * busy * rng.uniform(0.7, 1.3))):
                    number += 1
                    moment = FIRST_DAY + timedelta(days=day, seconds=rng.randrange(28_800, 72_000))
                    clock[0] = moment.timestamp()
                    _book(ledger, rng, number)
    return where


def _book(ledger: Ledger, rng: random.Random, number: int) -> None:
    tenant = _pick(rng, _TENANTS)
    bundle = _pick(rng, _BUNDLES)
    identity = f"req_{number:05d}"
    ledger.reserve(
        Opening(
            id=identity, bundle=bundle, bundle_digest="sha256:" + "ab" * 32, tenant=tenant,
            key=f"{tenant}-key" if tenant else "",
            source="serve" if tenant else "fuse",
            kind=rng.choice(("portrait", "portrait", "fusion")),
            template=rng.choice(_TEMPLATES),
            expected=(Quantity("images", 1), Quantity("denoiser_time", 9_000 * _MS)),
        )
    )  # fmt: skip
    chance = rng.random()
    ending = Ending.DONE if chance < 0.93 else Ending.FAILED if chance < 0.96 else Ending.CANCELLED
    if number % 97 == 0:
        return  # still open
    done = ledger.settle(identity, _quantities(rng, bundle, ending), ending)
    assert done is not None
    if number % 61 == 0 and ending is Ending.DONE:
        ledger.correct(identity, "denoiser_time", -50 * _MS, "a batch was shared after all")


def _quantities(rng: random.Random, bundle: str, ending: Ending) -> list[Quantity]:
    heavy = 40 if bundle == "sd15-faceid" else 1
    pictures = rng.choice((1, 1, 1, 2, 4))
    attempts = pictures + (rng.random() < 0.15)
    steps = rng.choice((8, 12, 20))
    evaluations = attempts * steps * 2
    device = round(evaluations * heavy * rng.uniform(9, 12) * _MS)
    stages = {
        "photos": 6, "analyse": 45, "blend": 1, "prompt": 4, "condition": 30 * heavy**0.5,
        "prepare": 3, "decode": 25 * heavy**0.7, "verify": 40,
    }  # fmt: skip
    if ending is not Ending.DONE:
        device = device * rng.randrange(1, 90) // 100
        return [
            Quantity("denoiser_evaluations", evaluations // 2),
            Quantity("denoiser_time", device),
            Quantity("time.denoise", device * 2),
            Quantity("cpu.denoise", device * 3),
        ]
    warm = rng.random() < 0.6
    tokens = rng.randrange(9, 22)
    times = {name: round(ms * rng.uniform(0.8, 1.3) * _MS) for name, ms in stages.items()}
    times["denoise"] = round(device * rng.uniform(1.2, 2.5))
    if warm:
        times["condition"] //= 8
        times["analyse"] //= 5
    return [
        Quantity("images", pictures), Quantity("attempts", attempts), Quantity("steps", steps),
        Quantity("tokens", tokens), Quantity("baseline_tokens", round(tokens * rng.uniform(2, 4))),
        Quantity("positions_computed", 6 if warm else 60),
        Quantity("positions_reused", 148 if warm else 40),
        Quantity("projections_computed", 1 if warm else 3),
        Quantity("projections_reused", 3 if warm else 1),
        Quantity("faces_analysed", 0 if warm else 2), Quantity("faces_reused", 2 if warm else 0),
        Quantity("denoiser_evaluations", evaluations), Quantity("shallow_evaluations", 0),
        Quantity("denoiser_time", device),
        *(Quantity(f"time.{name}", value) for name, value in times.items()),
        *(Quantity(f"cpu.{name}", round(value * rng.uniform(0.7, 1.9)))
          for name, value in times.items()),
        Quantity("peak_memory_bytes", rng.randrange(900, 1500) << 20),
        Quantity("peak_device_bytes", 0), Quantity("connections", 0),
    ]  # fmt: skip


def _pick(rng: random.Random, weighted: tuple[tuple[str, int], ...]) -> str:
    names, weights = zip(*weighted, strict=True)
    return rng.choices(names, weights)[0]
