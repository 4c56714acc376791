"""The documentation names what there is, and its notebooks run."""

import doctest
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import skrmt.theory
from skrmt.utils import all_estimators

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not here")


def load(path):
    """Import a file that is no module of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def guide_pages():
    """Return the names of the pages of the guide."""
    return {path.stem for path in (DOCS / "user_guide").glob("*.rst")} - {"index"}


def test_chooser_names_every_estimator():
    text = (DOCS / "chooser.rst").read_text()
    left_out = {"GaussianGenerator"}
    names = {name for name, _ in all_estimators()}
    assert {name for name in names - left_out if f".{name}`" not in text} == set()


def test_landing_page_leads_to_every_subject():
    text = (DOCS / "index.rst").read_text()
    pages = guide_pages()
    tools = {
        "phase_diagrams",
        "scale_out",
        "backends",
        "saving",
        "command_line",
        "noisy_labels_mathematics",
    }
    assert {page for page in pages - tools if f"user_guide/{page}>`" not in text} == set()
    listed = (DOCS / "user_guide" / "index.rst").read_text()
    assert {page for page in pages if f"   {page}\n" not in listed} == set()
    assert {page for page in pages if f":doc:`{page}`: " not in listed} == set()


def test_chooser_leads_to_every_page_of_the_guide():
    text = (DOCS / "chooser.rst").read_text()
    tools = {"command_line", "noisy_labels_mathematics"}
    assert {page for page in guide_pages() - tools if f"user_guide/{page}>`" not in text} == set()


@pytest.mark.parametrize("page", ["index", "install"])
def test_examples_outside_the_guide_run(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testfile(str(DOCS / f"{page}.rst"), module_relative=False, optionflags=flags)
    assert result.attempted > 3
    assert result.failed == 0


def test_page_of_predicted_and_measured_numbers_is_that_of_the_tables():
    script = load(DOCS / "make_is_it_true.py")
    assert script.page() == (DOCS / "is_it_true.rst").read_text(encoding="utf-8")
    assert {"holds", "**miss**"} <= set(re.findall(r'"(holds|\*\*miss\*\*)"', script.page()))


def test_every_gallery_page_has_its_place():
    pages = {path.stem for path in (DOCS / "gallery").glob("plot_*.py")}
    assert pages == set(load(DOCS / "gallery_order.py").ORDER)


def test_inventories_know_what_the_reference_points_to():
    inventories = load(DOCS / "make_inventories.py")
    known = {
        line.split()[0]
        for path in inventories.FOLDER.glob("*.inv")
        for line in zlib.decompress(path.read_bytes().split(b"\n", 4)[4]).decode().splitlines()
    }
    roles = r":(?:func|class):`~?((?:{})\.[\w.]+)`".format("|".join(inventories.PAGES))
    entries = r"^ *((?:{})(?:\.[a-z_]+)*\.\w+) : ".format("|".join(inventories.PAGES))
    texts = [path.read_text() for path in (ROOT / "skrmt").rglob("*.py")]
    named = {name for text in texts for name in re.findall(f"(?m){roles}|{entries}", text)}
    pointed = {role or entry for role, entry in named}
    assert "sklearn.linear_model.RidgeClassifierCV" in pointed
    assert pointed - known == set()


def test_code_on_pages_fits_into_79_columns():
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*DOCS.glob("*.rst"), *DOCS.glob("user_guide/*.rst")]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.startswith((">>> ", "... ")) and len(line) > 79
    ]
    assert long == []


def test_every_guide_page_says_when_it_fails():
    without = {"command_line"}
    for page in guide_pages() - without:
        text = (DOCS / "user_guide" / f"{page}.rst").read_text()
        assert re.search(r"^When it fails\n[=-]+$", text, re.M), page


def test_every_subject_has_a_model_and_a_formula():
    tools = {
        "phase_diagrams",
        "scale_out",
        "backends",
        "saving",
        "command_line",
        "encoders",
        "audit",
        "noisy_labels",
    }
    for page in guide_pages() - tools:
        text = (DOCS / "user_guide" / f"{page}.rst").read_text()
        assert re.search(r"^The model.*\n[=-]+$", text, re.M), page
        assert ".. math::" in text, page


def test_theory_reference_has_every_function_and_its_formula():
    conf = load(DOCS / "conf.py")
    for name in skrmt.theory.__all__:
        module = importlib.import_module(f"skrmt.theory.{name}")
        text = conf.theory_page(module)
        for public in module.__all__:
            function = getattr(module, public)
            if inspect.isfunction(function):
                title = f"{public}\n{'-' * len(public)}\n"
                assert text.count(title) == 1, public
                section = text.split(title)[1].split("\nSource: ")[0]
                section = re.split(r"\n\w+\n-{4,}\n", section)[0]
                assert f":func:`~skrmt.theory.{name}.{public}`" in section
                assert re.search(r":math:|\.\. math::|``.*[=/].*``", section), public


def test_notebooks_have_no_outputs_and_valid_cells(tmp_path):
    maker = load(DOCS / "make_notebooks.py")
    maker.main(tmp_path)
    paths = sorted(tmp_path.glob("*.ipynb"))
    assert len(paths) == len(maker.PAGES) == 3
    for path in paths:
        content = json.loads(path.read_text())
        kinds = [cell["cell_type"] for cell in content["cells"]]
        assert kinds[:2] == ["markdown", "code"]
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                source = cell["source"].replace("%", "#")
                compile(source, str(path), "exec")
                assert cell["outputs"] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_notebooks_run_from_top_to_bottom(tmp_path, number):
    maker = load(DOCS / "make_notebooks.py")
    maker.main(tmp_path)
    content = json.loads(sorted(tmp_path.glob("*.ipynb"))[number].read_text())
    code = "\n\n".join(c["source"] for c in content["cells"] if c["cell_type"] == "code")
    script = tmp_path / "notebook.py"
    script.write_text(f"import matplotlib; matplotlib.use('Agg')\n{code}\n")
    command = [sys.executable, "-W", "ignore", str(script)]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
