"""The command that draws phase diagrams."""

import argparse

import pytest

from skrmt._cli._phase_diagram import SUBJECTS, add_arguments, run_phase_diagram
from skrmt._cli._text import CommandError
from skrmt.inspection import PhaseDiagramDisplay

pytest.importorskip("matplotlib")


def call(*arguments):
    """Parse arguments as the command line does, and run the command."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run_phase_diagram(**vars(parser.parse_args([*map(str, arguments)])))


def test_theory_alone_gives_a_table_and_a_figure(tmp_path, capsys):
    assert call("tensor-deflation", "--grid", 4, "--output", tmp_path / "new") == 0
    printed = capsys.readouterr().out
    assert "Mean overlap with the truth, predicted" in printed
    assert "standard errors" not in printed
    assert (tmp_path / "new" / "tensor-deflation.png").stat().st_size > 5000


def test_simulation_tells_deviations_and_progress(tmp_path, capsys):
    options = ("--simulate", "--grid", 3, "--draws", 8, "--size", 12, "--seed", 1)
    assert call("noisy-labels", *options, "--output", tmp_path) == 0
    printed = capsys.readouterr()
    assert "Simulating 9 cells of 8 draws each" in printed.out
    assert "Simulated less predicted, in standard errors" in printed.out
    assert "The median cell is" in printed.out
    assert "Done" in printed.out + printed.err


def test_draws_that_agree_have_no_deviation(tmp_path, capsys):
    call("self-play", "--simulate", "--grid", 2, "--draws", 2, "--output", tmp_path)
    assert "        -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--grid", 1), "--grid 1 is too small"),
        (("--seed", -1), "--seed -1 is negative"),
        (("--size", 2), "size=2 must be"),
        (("--simulate", "--draws", 1), "n_draws=1 must be"),
        (("--simulate", "--device", "abacus"), "device='abacus' is not"),
    ],
)
def test_wrong_numbers_are_named(options, message, tmp_path):
    if "--device" in options:
        pytest.importorskip("torch")
    with pytest.raises(CommandError, match=message):
        call("noisy-labels", *options, "--output", tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CommandError, match="cannot write to the folder"):
        call("collapse", "--output", tmp_path / "taken")


def test_the_command_knows_all_subjects():
    assert list(SUBJECTS) == list(PhaseDiagramDisplay.subjects())


def test_an_unknown_subject_is_refused(capsys):
    with pytest.raises(SystemExit):
        call("chess")
    printed = capsys.readouterr().err
    assert all(name in printed for name in SUBJECTS)
