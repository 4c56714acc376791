"""What is built: a wheel and a source archive that install and work by themselves."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = """
import time

start = time.perf_counter()
import skrmt

assert time.perf_counter() - start < 1.5
import sys
from pathlib import Path

assert Path(skrmt.__file__).is_relative_to(sys.prefix), skrmt.__file__
assert not {"torch", "tensorly", "matplotlib"} & set(sys.modules)
from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier

X, y, clean, _ = make_noisy_mixture(300, 20, random_state=0)
print(NoiseAwareLinearClassifier().fit(X, y).theoretical_accuracy_)
"""


def run(*command, cwd):
    """Run a command in a folder and return what it prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the source archive, and the wheel from it."""
    pytest.importorskip("build", reason="build makes the archives")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT), cwd=folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.mark.slow
def test_content(built):
    wheel, source = built
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert "skrmt/py.typed" in inside
    assert {name.split("/")[0] for name in inside if "dist-info" not in name} == {"skrmt"}
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "tests/conftest.py"} <= names
    assert not [name for name in names if "shared" in name or "_build" in name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0, 1], ids=["wheel", "source"])
def test_installs_into_an_empty_environment(built, tmp_path, kind):
    run(sys.executable, "-m", "venv", "env", cwd=tmp_path)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", str(built[kind]), cwd=tmp_path)
    assert 0.5 < float(run(python, "-W", "error", "-c", EXAMPLE, cwd=tmp_path)) <= 1
