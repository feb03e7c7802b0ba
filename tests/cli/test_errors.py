"""Every failure is one line and an exit code."""

import pytest
import typer

from cli.errors import OptionRejected, explain
from fusion import InvalidWeights
from models import ImageRejected
from prompting import Attributes


def test_bad_input_of_any_package_exits_with_two_and_its_own_words() -> None:
    for error in (OptionRejected("no"), ImageRejected("no"), InvalidWeights("no")):
        failure = explain(error)
        assert (failure.line, failure.exit_code) == ("no", 2)


def test_an_unknown_attribute_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="glases") as caught:
        Attributes(glases=True)
    failure = explain(caught.value)
    assert failure.exit_code == 2
    assert '"glasses"' in failure.line


def test_a_message_of_several_lines_becomes_one() -> None:
    assert explain(OptionRejected("first\n   second\n")).line == "first second"


def test_a_fault_of_ours_exits_with_one_and_says_how_to_look() -> None:
    failure = explain(KeyError("boom"))
    assert failure.exit_code == 1
    assert "KeyError" in failure.line
    assert "LIMNER_DEBUG=1" in failure.line
    assert explain(ValueError("of some library")).exit_code == 1


def test_the_systems_refusal_names_the_file() -> None:
    failure = explain(PermissionError(13, "Permission denied", "/somewhere/out.png"))
    assert (failure.line, failure.exit_code) == ("/somewhere/out.png: Permission denied", 2)


def test_what_the_command_line_refuses_points_to_help() -> None:
    failure = explain(typer.BadParameter("that is no number"))
    assert failure.exit_code == 2
    assert "--help" in failure.line
    assert "\n" not in failure.line


def test_leaving_early_is_not_an_error() -> None:
    assert explain(typer.Exit(3)).exit_code == 3
    assert explain(typer.Exit(3)).line == ""
