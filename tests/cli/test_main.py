"""The command line itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from skrmt.__main__ import main
from skrmt._cli._text import paragraph, percent, span, table
from skrmt.utils._wording import count, listed, one_line

ROOT = Path(__file__).parents[2]


def test_no_command_prints_the_help(capsys):
    assert main([]) == 2
    text = capsys.readouterr().out
    assert "demo" in text
    assert "audit" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], "skrmt "),
        (["--help"], "demo"),
        (["demo", "--help"], "--repeats"),
        (["audit", "--help"], "--noise-rates"),
    ],
)
def test_help_and_version(capsys, arguments, said):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["dem"],
        ["audit"],
        ["audit", "x.csv"],
        ["demo", "--seed", "-1"],
        ["demo", "--repeats", "0"],
        ["demo", "--repeats", "two"],
        ["audit", "x.csv", "--target", "y", "--report", "pdf"],
    ],
)
def test_usage_errors(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_as_a_module():
    command = [sys.executable, "-m", "skrmt", "audit", "x.csv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "skrmt audit: error: the following arguments are required" in done.stderr


def test_help_loads_nothing_heavy():
    code = """
import contextlib, io, sys
from skrmt.__main__ import main
with contextlib.redirect_stdout(io.StringIO()):
    main([])
print(sorted({"numpy", "sklearn", "pandas", "matplotlib", "torch"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_table():
    lines = table(["name", "a\nnumber"], [["x\ny", "1"], ["long name", "22"]]).splitlines()
    assert lines == [
        "                  a",
        "  name       number",
        "  ---------  ------",
        "  x y             1",
        "  long name      22",
    ]


def test_words():
    assert percent(float("nan")) == span((float("nan"), 1.0)) == "unknown"
    assert count(2, "class", "classes") == "2 classes"
    assert one_line("word " * 40).endswith("...")
    assert listed(list("abc")) == "a, b, c"
    text = paragraph("word " * 60, indent=2, bullet="- ").splitlines()
    assert text[0].startswith("  - word")
    assert text[1].startswith("    word")
