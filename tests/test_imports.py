"""Who may import whom, read from the source with ast."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from skrmt.utils._discovery import public_subpackages

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skrmt"
FILES = sorted(PACKAGE.rglob("*.py"))

EVERYWHERE = {"numpy", "scipy", "skrmt.exceptions", "skrmt._install"}
SUBJECT = {
    "joblib",
    "sklearn",
    "skrmt.theory",
    "skrmt.linalg",
    "skrmt.model_selection",
    "skrmt.utils",
}
FLOORS = {
    "theory": set(),
    "linalg": {"skrmt.utils"},
    "datasets": {"skrmt.theory", "skrmt.utils", "sklearn"},
    "inspection": {"skrmt.theory", "skrmt.utils", "matplotlib"},
    "model_selection": {
        "joblib",
        "sklearn",
        "matplotlib",
        "skrmt.theory",
        "skrmt.linalg",
        "skrmt.utils",
    },
    "utils": set(),
}
"""What the modules of a folder may import beside themselves; other folders are subjects."""

ADDITIONS = {
    "linalg/_backend.py": {"tensorly", "torch"},
    "utils/_sklearn_compat.py": {"sklearn"},
    "model_selection/_forecast_display.py": {"skrmt.inspection"},
    "inspection/_phase_diagram.py": {"joblib"},
    "inspection/_phase_draws.py": {"skrmt.linalg"},
    "inspection/_phase_cells.py": {"skrmt.linalg"},
    "preference/_trainer.py": {"torch", "transformers"},
    "feature_extraction": {"torch", "transformers"},
}
"""What single files, or all files of a folder, may import in addition."""

HEAVY = {"torch", "tensorly", "matplotlib", "pandas", "polars", "pyarrow", "dask", "transformers"}
"""What only functions may import, so that `import skrmt` loads none of it."""

RESERVED = {"ensemble", "denoise", "_version"}
"""Names that the distribution scikit-rmt installs under the same import root."""


class Import(NamedTuple):
    """One imported module or name."""

    module: str
    name: str
    line: int
    in_function: bool

    @property
    def top(self) -> str:
        """What the rules speak of: "numpy", or "skrmt.theory"."""
        parts = [*self.module.split("."), self.name]
        return ".".join(parts[:2]) if parts[0] == "skrmt" else parts[0]


def relative_name(path: Path) -> str:
    """Return the path inside the package."""
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path, root: Path = ROOT) -> Iterator[Import]:
    """Yield what a file imports, with relative names resolved."""
    package = path.relative_to(root).parent.parts
    yield from _walk(ast.parse(path.read_bytes()), package, False)


def _walk(node: ast.AST, package: tuple[str, ...], in_function: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, "", child.lineno, in_function)
        elif isinstance(child, ast.ImportFrom):
            start = package[: len(package) - child.level + 1] if child.level else ()
            module = ".".join([*start, *([child.module] if child.module else [])])
            for alias in child.names:
                yield Import(module, alias.name, child.lineno, in_function)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _walk(child, package, in_function or inside or _type_checking(child))


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def allowed(path: Path) -> set[str] | None:
    """Return what a file may import beside the standard library; None for anything."""
    name = relative_name(path)
    layer, inner, _ = name.partition("/")
    if not inner:
        core = layer in {"__init__.py", "_install.py", "exceptions.py"}
        return {"skrmt._install"} if core else None
    if layer.startswith("_"):
        return None
    extra = ADDITIONS.get(name, set()) | ADDITIONS.get(layer, set())
    return EVERYWHERE | FLOORS.get(layer, SUBJECT) | {f"skrmt.{layer}"} | extra


def forbidden(path: Path) -> list[str]:
    """Return the imports of a file that break the rules of its layer."""
    known = allowed(path)
    return [
        f"{relative_name(path)}:{found.line} imports {found.top}"
        for found in imports(path)
        if known is not None
        and found.top.split(".")[0] not in sys.stdlib_module_names
        and found.top not in known
    ]


@pytest.mark.parametrize("path", FILES, ids=relative_name)
def test_layers(path):
    assert forbidden(path) == []


@pytest.mark.parametrize("path", FILES, ids=relative_name)
def test_heavy_packages_only_inside_functions(path):
    heavy = [
        f"{relative_name(path)}:{found.line} imports {found.top} when it is imported"
        for found in imports(path)
        if found.top in HEAVY and not found.in_function
    ]
    assert heavy == []


@pytest.mark.parametrize("path", FILES, ids=relative_name)
def test_private_scikit_learn_only_in_one_file(path):
    if relative_name(path) == "utils/_sklearn_compat.py":
        return
    private = [
        f"{relative_name(path)}:{found.line} imports {found.module}.{found.name}"
        for found in imports(path)
        if found.top == "sklearn"
        and any(part.startswith("_") for part in [*found.module.split("."), found.name])
    ]
    assert private == []


def test_public_code_uses_public_names():
    folders = [ROOT / "benchmarks", ROOT / "docs"]
    built = {"_build", "auto_examples"}
    files = [
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if not built & set(path.relative_to(ROOT).parts)
    ]
    private = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.module}.{found.name}"
        for path in files
        for found in imports(path)
        if found.module.split(".")[0] == "skrmt"
        and any(part.startswith("_") for part in [*found.module.split("."), found.name])
    ]
    assert private == []


def test_names_of_modules():
    """Modules are private but for those of theory and `utils.testing`."""
    names = {relative_name(path) for path in FILES}
    assert not {part for name in names for part in name[:-3].split("/")} & RESERVED
    public = {
        name
        for name in names
        if name.count("/") and not name.startswith("theory/") and "/_" not in name
    }
    assert public <= {"utils/testing.py"}


@pytest.mark.parametrize("name", public_subpackages())
def test_subpackage_declares_its_names_and_checks_the_installation(name):
    module = importlib.import_module(name)
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
    source = ast.parse(Path(module.__file__).read_bytes())
    called = {ast.unparse(node.value) for node in source.body if isinstance(node, ast.Expr)}
    assert called & {"check()", "_install.check()"}


def run_python(code: str) -> str:
    """Return what a new interpreter prints."""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_import_of_the_package_loads_nothing_heavy():
    loaded = f"{HEAVY | {'sklearn', 'scipy', 'numpy'}!r} & set(sys.modules)"
    assert run_python(f"import sys, skrmt, skrmt.exceptions; print({loaded})") == "set()"


def test_import_of_subpackages_loads_nothing_heavy_and_changes_nothing():
    """Beyond what scikit-learn does: it loads pandas by itself where that is installed."""
    modules = ["skrmt", "skrmt.exceptions", "skrmt.utils.testing", *public_subpackages()]
    code = f"""
import importlib, sys, sklearn, scipy.stats, sklearn.utils.parallel, sklearn.model_selection
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("state", {str(PACKAGE / "utils/_global_state.py")!r})
state = module_from_spec(spec)
spec.loader.exec_module(state)
loaded, before = set(sys.modules), state.global_state()
for name in {modules!r}:
    importlib.import_module(name)
print(sorted({HEAVY!r} & set(sys.modules) - loaded), state.changed(before, state.global_state()))
"""
    assert run_python(code) == "[] []"


@pytest.mark.parametrize(
    ("where", "code", "broken"),
    [
        ("theory/sgd.py", "import sklearn", True),
        ("theory/sgd.py", "from ..linalg import ridge_basis", True),
        ("theory/sgd.py", "from . import _fixed_point\nimport numpy as np", False),
        ("linalg/_cp.py", "def f():\n    import tensorly", True),
        ("linalg/_backend.py", "def f():\n    import tensorly", False),
        ("linear_model/_x.py", "from ..cluster import Y", True),
        ("linear_model/_x.py", "from .. import datasets", True),
        ("linear_model/_x.py", "from ..model_selection import X\nimport sklearn", False),
        ("datasets/_x.py", "from ..model_selection import X", True),
        ("inspection/_x.py", "from ..linear_model import X", True),
        ("model_selection/_x.py", "from ..linear_model import X", True),
        ("utils/_x.py", "import sklearn.base", True),
        ("preference/_trainer.py", "def f():\n    import torch", False),
        ("preference/_losses.py", "def f():\n    import torch", True),
        ("__main__.py", "def f():\n    import pandas", False),
    ],
)
def test_the_rules_see_what_they_should(tmp_path, monkeypatch, where, code, broken):
    path = tmp_path / "skrmt" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "skrmt")
    monkeypatch.setattr(imports, "__defaults__", (tmp_path,))
    assert bool(forbidden(path)) == broken
