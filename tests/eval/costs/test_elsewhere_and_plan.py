"""Other services' prices are a file that people edit; a plan shows its reckoning."""

from pathlib import Path

import pytest

from eval.costs.elsewhere import bill_of, read_services, shipped_services
from eval.costs.errors import PlanRejected, ServicesRejected
from eval.costs.money import digits_for, rounded, seconds_text
from eval.costs.pace import read_pace
from eval.costs.plan import Pace, Traffic, plan
from eval.costs.question import Question
from eval.costs.report import read_report

SERVICE = """[[service]]
name = "x"
source = "https://example.org"
noted = 2026-11-25
currency = "USD"
picture = "0.04"
text_tokens = "5.00"
image_tokens = "8.00"
tokens_per_photo = 200
"""


def test_what_ships_can_be_read_copied_and_edited(tmp_path: Path) -> None:
    copy = tmp_path / "services.toml"
    copy.write_text(shipped_services(), encoding="utf-8")
    assert read_services(copy) == read_services()
    assert len(read_services()) >= 3
    assert all(one.source.startswith("https://") for one in read_services())


def test_the_arithmetic_is_shown_and_exact(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(SERVICE, encoding="utf-8")
    (service,) = read_services(tmp_path / "one.toml")
    bill = bill_of(service, pictures=3, text_tokens=1000, photos=5)
    assert [(part.kind, part.quantity, part.cost) for part in bill.parts] == [
        ("picture", 3, 120_000_000), ("text_tokens", 1000, 5_000_000),
        ("image_tokens", 1000, 8_000_000),
    ]  # fmt: skip
    assert bill.cost == 133_000_000
    assert bill_of(service, pictures=0, text_tokens=0, photos=0).cost == 0


def test_elsewhere_counts_delivered_pictures_and_wordy_wishes(month: Path) -> None:
    report = read_report(month, Question(), services=read_services())
    bill = report.bills[0]
    quantities = {part.kind: part.quantity for part in bill.parts}
    assert quantities["picture"] == report.total.quantity("images", "done")
    assert quantities["text_tokens"] == report.total.quantity("baseline_tokens", "done")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("USD", "dollars"), "currency"),
        (('"0.04"', '"-1"'), "negative"),
        (('"0.04"', '"cheap"'), "no amount"),
        (("picture =", "piktures ="), "piktures"),
        (("[[service]]", "[[service"), "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(SERVICE.replace(*change), encoding="utf-8")
    with pytest.raises(ServicesRejected, match=said):
        read_services(file)


def test_a_plan_is_the_formula_that_it_shows() -> None:
    made = plan(Traffic(36_000, busy_hours=10, peak_factor=2, utilisation=0.5), Pace(20, 0.1, 0.5),
                machine_hour=2.0, currency="EUR")  # fmt: skip
    assert made.demand == pytest.approx(2.0)
    assert made.capacity == pytest.approx(0.2)
    assert made.machines == 10
    assert made.cost_day == pytest.approx(480)
    assert made.cost_picture == pytest.approx(480 / 36_000)
    told = dict(made.formulas)
    assert told["seconds"] == "20 × 0.1 s + 0.5 s = 2.5 s"
    assert told["machines"] == "⌈2 ÷ 0.2⌉ = 10"


def test_a_plan_measures_on_the_ledger(month: Path) -> None:
    report = read_report(month, Question())
    pace = read_pace(month, Question())
    pictures = report.total.quantity("images", "done")
    device = report.total.quantity("denoiser_time") / 1e9
    assert pace.pictures == pictures
    assert pace.evaluations * pace.evaluation_seconds * pictures == pytest.approx(device)
    slow = read_pace(month, Question(), "sd15-faceid")
    assert slow.evaluation_seconds > 10 * read_pace(month, Question(), "mini").evaluation_seconds
    assert pace.at_steps(10, guided=True) == pytest.approx(20 * pace.drawings)
    with pytest.raises(PlanRejected, match="it has mini, sd15-faceid"):
        read_pace(month, Question(), "giant")


@pytest.mark.parametrize(
    "wrong",
    [{"pictures": 0}, {"pictures": float("nan")}, {"pictures": 1, "utilisation": 1.5},
     {"pictures": 1, "busy_hours": 25}],
)  # fmt: skip
def test_traffic_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanRejected):
        Traffic(**wrong)


def test_amounts_are_rounded_for_people_and_never_to_nothing() -> None:
    assert rounded(1_234_567_891_234, 2) == "1,234.57"
    assert rounded(-5_000_000, 4) == "-0.0050"
    assert rounded(3, 4) == "0.000000003"
    assert rounded(0, 2) == "0.00"
    assert digits_for([2 * 10**9]) == 2
    assert digits_for([]) == 2
    assert seconds_text(0) == "0 s"
    assert seconds_text(950 * 10**6) == "950 ms"
    assert seconds_text(12_340 * 10**6) == "12.3 s"
