"""Cards: what holds and what does not, there and back through a file, as a page and as a table."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from eval import Card, CardInvalid, CardNotFound, Figure, print_card, read_card, render_card
from eval.card import CARD_FILE, Chapter, Sample, Table


@pytest.fixture
def card() -> Card:
    figures = (
        Figure(key="auc", title="AUC", value=0.99, bar=0.985, interval=(0.98, 0.995), count=200),
        Figure(key="seconds", title="seconds", value=1.4, unit="s", bar=1.0, wanted="at most"),
        Figure(key="cosine", title="cosine", value=0.5, ceiling=0.7, note="a remark"),
        Figure(key="share", title="share", value=0.9312, unit="share", bar=0.93),
    )
    table = Table(title="Details", columns=("a", "b"), rows=(("1", "2"),))
    chapter = Chapter(
        key="one", title="First", method="As it was done.", figures=figures, tables=(table,),
        samples=(Sample(file="sheet.png", title="a sheet"),),
    )  # fmt: skip
    return Card(
        bundle="mini", title="Drawn people", digest="ab" * 32, measured_at="2026-01-01T00:00:00Z",
        quick=True, command="limner models card mini --measure --quick", machine="2 cores",
        seconds=12.0, chapters=(chapter,),
    )  # fmt: skip


def test_a_bar_holds_from_its_own_side(card: Card) -> None:
    assert card.figure("auc").holds is True
    assert card.figure("seconds").holds is False
    assert card.figure("cosine").holds is None
    assert [figure.key for figure in card.missed] == ["seconds"]
    assert Figure(key="k", title="t", value=1.0, bar=1.0).holds is True


def test_a_bar_above_the_ceiling_is_told_on_the_page(card: Card) -> None:
    figure = Figure(key="top", title="top-1", value=0.9, unit="share", bar=0.95, ceiling=0.945)
    assert not figure.within_reach
    assert card.figure("auc").within_reach
    turn = Figure(
        key="turn", title="turn", value=2, unit="°", bar=3, wanted="at most", ceiling=1.5,
        note="yaw",
    )  # fmt: skip
    assert turn.within_reach
    chapter = card.chapters[0].model_copy(update={"figures": (figure, turn)})
    page = render_card(card.model_copy(update={"chapters": (chapter,)}))
    assert "- top-1: the ceiling itself lies under this bar" in page
    assert "- turn: yaw\n" in page
    assert "| turn | 2.000° |" in page


def test_a_card_comes_back_from_its_file(card: Card, tmp_path: Path) -> None:
    path = card.write(tmp_path / "new")
    assert read_card(path) == card
    assert read_card(tmp_path / "new") == card
    assert [file.name for file in (tmp_path / "new").iterdir()] == [CARD_FILE]


def test_what_is_no_card_is_refused_in_one_line(card: Card, tmp_path: Path) -> None:
    with pytest.raises(CardNotFound, match="--measure"):
        read_card(tmp_path)
    file = tmp_path / CARD_FILE
    for text in ("{", '{"schema": 2}', card.model_dump_json(by_alias=True)[:-1] + ', "x": 1}'):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(CardInvalid) as caught:
            read_card(file)
        assert "\n" not in str(caught.value)


def test_a_figure_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        Figure(key="psnr", title="PSNR", value=float("inf"))


def test_the_page_says_figure_bar_verdict_ceiling_and_command(card: Card) -> None:
    page = render_card(card)
    assert "3 figures" not in page
    assert "**2 of 3 bars hold.**" in page
    assert "| AUC | 0.990 | 0.980 – 0.995 | ≥ 0.985 | yes |  | 200 |" in page
    assert "| seconds | 1.400 s |  | ≤ 1.000 | **no** |  |  |" in page
    assert "| cosine | 0.500 |  |  |  | 0.700 |  |" in page
    assert "| share | 93.1 % |  | ≥ 93.0 % | yes |  |  |" in page
    assert "limner models card mini --measure --quick" in page
    assert "![a sheet](sheet.png)" in page
    assert "- cosine: a remark" in page
    assert "quick" in page


def test_the_table_names_every_figure(card: Card) -> None:
    text = io.StringIO()
    print_card(card, Console(file=text, width=160, force_terminal=False))
    for figure in card.figures():
        assert figure.title in text.getvalue()
    assert "**" not in text.getvalue()
