"""What pyproject.toml promises, and that the README's code runs."""

import importlib.metadata
import re
import tomllib
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_extras():
    users = {"torch", "plot", "cli", "dask", "hf"}
    assert users | {"test", "docs", "dev"} <= set(PROJECT["optional-dependencies"])


def test_extras_named_in_the_code_exist():
    code = "".join(path.read_text() for path in (ROOT / "skrmt").rglob("*.py"))
    named = set(re.findall(r"import_optional\(\s*[^,()]+,\s*\"(\w+)\"\s*\)", code))
    named |= set(re.findall(r"skrmt\[(\w+)\]", code))
    assert named <= set(PROJECT["optional-dependencies"])


def test_version_matches_the_installed_one_and_the_changelog():
    heading = f"## {PROJECT['version']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text()
    try:
        installed = importlib.metadata.version("skrmt")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("skrmt runs from a source tree that is not installed")
    assert installed == PROJECT["version"]


def test_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    papers = set(re.findall(r"arXiv:(\d{4}\.\d{5})", citation))
    code = "".join(path.read_text() for path in (ROOT / "skrmt").rglob("*.py"))
    assert len(papers) == 10
    assert papers <= set(re.findall(r"arXiv:(\d{4}\.\d{5})", code))


def test_recipe_of_conda_has_the_version_and_the_dependencies():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    assert f'version: "{PROJECT["version"]}"' in recipe
    run = recipe.partition("  run:\n")[2].partition("\ntests:")[0]
    listed = {line.strip("- ").replace(" ", "") for line in run.splitlines() if line.strip()}
    assert listed == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}


def test_dependency_groups_are_the_extras():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for name, entries in groups.items():
        assert f"skrmt[{name}]" in entries


def test_typed_marker_and_licence():
    assert (ROOT / "skrmt" / "py.typed").exists()
    assert PROJECT["license"] == "BSD-3-Clause"
    assert (ROOT / "LICENSE").read_text().startswith("BSD 3-Clause")


def words_and_numbers(text):
    """Return a text without its numbers, and these."""
    number = r"-?\d+(?:\.\d+)?"
    words = " ".join(re.sub(number, "#", text).split())
    return words, [float(found) for found in re.findall(number, text)]


def test_readme_code_prints_what_is_shown():
    pytest.importorskip("pandas")
    blocks = re.findall(
        r"```python\n(.*?)```\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S
    )
    assert len(blocks) == (ROOT / "README.md").read_text().count("```python") == 2
    namespace = {}
    for block, shown in blocks:
        with warnings.catch_warnings(), redirect_stdout(StringIO()) as printed:
            exec(compile(block, "README.md", "exec"), namespace)
        words, numbers = words_and_numbers(shown)
        printed_words, printed_numbers = words_and_numbers(printed.getvalue())
        assert printed_words == words
        # Another release of a library may turn over a row or two of the forest.
        for found, expected in zip(printed_numbers, numbers, strict=True):
            assert found == pytest.approx(expected, abs=0.02 if abs(expected) < 1 else 2)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_local_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+?)\)", (ROOT / page).read_text())
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (ROOT / link).exists()] == []
