"""Files that the commands write: no formulas, nothing over or through what is there."""

from __future__ import annotations

import csv as csv_module
import io

import numpy as np
import pandas as pd
import pytest

from skrmt.__main__ import main

NASTY = [
    *["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", " =1", "\uff1d1"],
    *["\ufeff=1", "\u200b+1", "\x01@x", "\u202e-x", "\u2060=1", "\ufe661", "\ufe62x"],
]
STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\ufe66", "\ufe62")
UNSEEN = " \ufeff\u200b\x01\u202e\u2060"


@pytest.fixture
def table(tmp_path):
    """Return the path of a table whose texts, labels and headers start like formulas."""
    rng = np.random.default_rng(0)
    labels = np.tile(["=yes", "-no"], 40)
    frame = pd.DataFrame(
        {
            "=size": rng.standard_normal(80) + 2 * (labels == "=yes"),
            "@note": [NASTY[i % len(NASTY)] for i in range(80)],
            "when": pd.to_timedelta(rng.integers(-9, 9, 80), "D"),
            "n": rng.integers(-5, 5, 80),
            "<b>name</b>": ["&amp;", "<i>", "-5", "?", "b"] * 16,
            "+label": labels,
        }
    )
    frame.loc[3, "@note"] = None
    path = tmp_path / "table.parquet"
    frame.to_parquet(path)
    return path


def cells(path):
    """Return header and rows of a CSV file."""
    return list(csv_module.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_no_cell_or_header_starts_like_a_formula(run, table, tmp_path):
    code, _, errors = run("audit", table, "--target", "+label", "--threshold", 0)
    assert (code, errors) == (0, "")
    header, *rows = cells(tmp_path / "out" / "disagreements.csv")
    assert {"'=size", "'@note", "'+label"} <= set(header)
    for row in [header, *rows]:
        for cell in row:
            assert is_number(cell) or not cell.lstrip(UNSEEN).startswith(STARTS)
    whole = pd.read_parquet(table)
    back = pd.read_csv(tmp_path / "out" / "disagreements.csv").sort_values("row")
    assert (back["n"].to_numpy() == whole["n"].to_numpy()).all()
    np.testing.assert_allclose(back["'=size"], whole["=size"])
    assert set(back["<b>name</b>"]) == {"&amp;", "<i>", "-5", "?", "b"}
    assert back["'@note"].isna().sum() == 1
    assert set(back["given_label"]) == {"'=yes", "'-no"}


def test_names_are_escaped_once(run, table, tmp_path):
    made = tmp_path / "a<b>&c.parquet"
    pd.read_parquet(table).to_parquet(made)
    code, _, errors = run("audit", made, "--target", "+label", "--synthetic", table)
    assert (code, errors) == (0, "")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a&lt;b&gt;&amp;c.parquet" in page
    assert "&amp;lt;" not in page and "&amp;amp;c" not in page
    assert "<b>name" not in page and "a<b>" not in page


def test_control_codes_are_not_printed(run, table, tmp_path):
    frame = pd.read_parquet(table).rename(columns={"n": "\x1b[31mred\x07"})
    frame.to_parquet(tmp_path / "codes.parquet")
    code, text, _ = run("audit", tmp_path / "codes.parquet", "--target", "+label")
    assert code == 0
    assert "\x1b" not in text and "\x07" not in text


def commands(tmp_path, table):
    """Return commands and the files that they write."""
    out = tmp_path / "out"
    page = tmp_path / "page.html"
    audit = ["audit", str(table), "--target", "+label"]
    return {
        "rows": (audit, out / "disagreements.csv"),
        "page": (audit, out / "report.html"),
        "figure": ([*audit, "--report", "png"], out / "report.png"),
        "html": ([*audit, "--html", str(page)], page),
        "phases": (["phase-diagram", "collapse", "--grid", "2"], out / "collapse.png"),
    }


WRITERS = ["rows", "page", "figure", "html", "phases"]


@pytest.mark.parametrize("kind", WRITERS)
def test_files_are_written_over_with_force_only(run, table, tmp_path, kind):
    command, path = commands(tmp_path, table)[kind]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"precious")
    code, _, errors = run(*command)
    assert code == 2
    assert path.name in errors and "--force" in errors
    assert path.read_bytes() == b"precious"
    assert [p.name for p in path.parent.iterdir() if p.suffix not in (".parquet", "")] == [
        path.name
    ]
    assert run(*command, "--force")[0] == 0
    assert path.read_bytes() != b"precious" and path.stat().st_size > 50
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_links_are_not_followed(run, table, tmp_path, kind, dangling):
    command, path = commands(tmp_path, table)[kind]
    path.parent.mkdir(exist_ok=True)
    other = tmp_path / "other"
    if not dangling:
        other.write_bytes(b"precious")
    path.symlink_to(other)
    code, _, errors = run(*command)
    assert code == 2 and "is a link" in errors
    assert run(*command, "--force")[0] == 0
    assert not path.is_symlink() and path.stat().st_size > 50
    assert not other.exists() if dangling else other.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["rows", "phases"])
def test_a_folder_that_is_a_link_takes_force(run, table, tmp_path, kind):
    command, path = commands(tmp_path, table)[kind]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    code, _, errors = run(*command)
    assert code == 2 and "is a link" in errors
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert run(*command, "--force")[0] == 0
    assert path.exists()


def test_what_is_no_file_is_not_replaced(run, table, tmp_path):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    code, _, errors = run("audit", table, "--target", "+label", "--force")
    assert code == 2 and "not a file" in errors


@pytest.mark.parametrize("subject", ["noisy-labels", "collapse", "all"])
def test_demonstrations_refuse_before_they_run(subject, tmp_path, capsys, monkeypatch):
    name = {"noisy-labels": "demo", "all": "staged-sgd"}.get(subject, subject)
    (tmp_path / f"{name}.png").write_bytes(b"precious")
    monkeypatch.setattr("skrmt._cli._demo.problems", lambda: pytest.fail("it ran"))
    assert main(["demo", subject, "--output", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / f"{name}.png").read_bytes() == b"precious"
