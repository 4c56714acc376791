"""What every demonstration predicts is what it measures."""

import pytest

from skrmt.__main__ import SUBJECTS as COMMAND_SUBJECTS
from skrmt.__main__ import main
from skrmt._cli._demo_subjects import SUBJECTS


def numbers(line):
    """Return the last two numbers of a line of a table."""
    return [float(word.rstrip("%")) for word in line.split()[-2:]]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subject(subject, tmp_path, capsys):
    assert main(["demo", subject, "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"skrmt demo: {subject}\n")
    assert "predicted" in printed
    assert max(map(len, printed.replace(str(tmp_path), "").splitlines())) <= 100
    if subject != "preference":
        assert (tmp_path / f"{subject}.png").stat().st_size > 5000
    for line in printed.splitlines():
        if line.strip().startswith(("accuracy", "diversity", "alignment", "items", "fresh")):
            predicted, real = numbers(line)
            assert abs(predicted - real) < 0.06 * (100 if "%" in line.split()[-1] else 1)


def test_the_command_names_every_subject(capsys):
    assert set(COMMAND_SUBJECTS) == {"noisy-labels", "all", *SUBJECTS}
    with pytest.raises(SystemExit):
        main(["demo", "chess"])
    assert "invalid choice: 'chess'" in capsys.readouterr().err


def test_all_of_them(monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr("skrmt._cli._demo_subjects.run_subject", lambda *a: ran.append(a[0]) or 0)
    monkeypatch.setattr("skrmt._cli._demo.run_demo", lambda *a, **k: ran.append("noisy-labels"))
    assert main(["demo", "all", "--output", str(tmp_path)]) == 0
    assert set(ran) == {"noisy-labels", *SUBJECTS}
