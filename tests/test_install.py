"""The version, and the warning about the distribution that overwrites ours."""

import importlib
import importlib.metadata
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import skrmt
from skrmt import _install


@pytest.fixture
def installed(monkeypatch):
    """Pretend that exactly these distributions are installed; count the look-ups."""
    distributions, looked_up = {}, []

    def version(name):
        looked_up.append(name)
        if name not in distributions:
            raise importlib.metadata.PackageNotFoundError(name)
        return distributions[name]

    monkeypatch.setattr(_install, "_distribution_version", version)
    _install.check.cache_clear()
    yield distributions, looked_up
    _install.check.cache_clear()


def test_rival_distribution_is_named_with_the_remedy(installed):
    installed[0]["scikit-rmt"] = "1.2.3"
    with pytest.warns(RuntimeWarning, match=r"scikit-rmt 1\.2\.3 .*pip uninstall"):
        _install.check()


def test_metadata_of_the_rival_on_the_path_are_found(tmp_path):
    metadata = tmp_path / "scikit_rmt-1.2.3.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scikit-rmt\nVersion: 1.2.3\n")
    path = f"{tmp_path}{os.pathsep}{Path(skrmt.__file__).parents[1]}"
    run = subprocess.run(
        [sys.executable, "-c", "import skrmt, skrmt.utils"],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr.count("scikit-rmt 1.2.3 is installed beside skrmt") == 1


def test_one_look_up_and_one_warning_in_a_process(installed):
    distributions, looked_up = installed
    distributions["scikit-rmt"] = "1.2.3"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            _install.check()
    assert len(caught) == 1
    assert looked_up == ["scikit-rmt"]


def test_silent_without_the_rival(installed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _install.check()


def test_version_is_that_of_the_metadata(installed):
    assert skrmt.__version__ == "0+unknown"
    installed[0]["skrmt"] = "9.8"
    assert skrmt.__version__ == "9.8"


def test_subpackages_are_attributes():
    assert skrmt.utils is importlib.import_module("skrmt.utils")
    assert {"utils", "exceptions", "__version__"} <= set(dir(skrmt))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = skrmt.nothing


def test_subpackages_work_without_our_init(tmp_path):
    """A replaced `skrmt/__init__.py` costs the shortcuts only."""
    code = (
        "import sys, types, importlib\n"
        f"package = types.ModuleType('skrmt'); package.__path__ = {list(skrmt.__path__)!r}\n"
        "sys.modules['skrmt'] = package\n"
        "from skrmt.utils import all_estimators\n"
        "all_estimators()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)
