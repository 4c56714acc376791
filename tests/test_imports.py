"""Who may import whom, read from the source with ast."""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from skrmt.utils._discovery import public_subpackages

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skrmt"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

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
    "model_selection/_report_display.py": {"skrmt.inspection"},
    # A door: the audit lives above the subjects, and is imported when its name is first read.
    "model_selection/__init__.py": {"skrmt._audit"},
    "inspection/_phase_diagram.py": {"joblib"},
    "inspection/_phase_draws.py": {"skrmt.linalg"},
    "inspection/_phase_cells.py": {"skrmt.linalg"},
    "preference/_language_model.py": {"torch"},
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


@functools.cache
def imports(path: Path) -> tuple[Import, ...]:
    """Return what a file imports, with relative names resolved."""
    root = ROOT if path.is_relative_to(ROOT) else PACKAGE.parent
    package = path.relative_to(root).parent.parts
    return tuple(_walk(ast.parse(path.read_bytes()), package, False))


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


def private_parts(found: Import) -> list[str]:
    """Return the parts of a dotted name that are private."""
    return [part for part in [*found.module.split("."), found.name] if part.startswith("_")]


def nothing(problems: list[str]) -> None:
    """Fail with a list, a line for each entry."""
    assert not problems, "\n" + "\n".join(problems)


def test_layers():
    nothing([problem for path in FILES for problem in forbidden(path)])


def test_heavy_packages_only_inside_functions():
    heavy = [
        f"{relative_name(path)}:{found.line} imports {found.top} when it is imported"
        for path in FILES
        for found in imports(path)
        if found.top in HEAVY and not found.in_function
    ]
    nothing(heavy)


def test_private_scikit_learn_only_in_one_file():
    private = [
        f"{relative_name(path)}:{found.line} imports {found.module}.{found.name}"
        for path in FILES
        if relative_name(path) != "utils/_sklearn_compat.py"
        for found in imports(path)
        if found.top == "sklearn" and private_parts(found)
    ]
    nothing(private)


def folder(found: Import) -> str:
    """Return the folder of the package from which something is imported, "" for its root."""
    place = PACKAGE
    for part in [*found.module.split("."), found.name][1:]:
        if not (place / part).is_dir() or not part:
            break
        place /= part
    return place.relative_to(PACKAGE).as_posix().removeprefix(".")


def arrows() -> dict[str, set[str]]:
    """Return which folder imports which others when it is imported.

    What an `__init__.py` re-exports from its own subfolders is no arrow.
    """
    graph: dict[str, set[str]] = {}
    for path in FILES:
        here = path.parent.relative_to(PACKAGE).as_posix().removeprefix(".")
        targets = {
            folder(found)
            for found in imports(path)
            if found.module.split(".")[0] == "skrmt" and not found.in_function
        }
        if path.name == "__init__.py":
            targets = {target for target in targets if not target.startswith(f"{here}/")}
        graph.setdefault(here, set()).update(targets - {here, ""})
    return graph


def test_no_cycle_between_folders():
    graph = arrows()
    assert len(graph) > 20
    assert list(TopologicalSorter(graph).static_order())


def test_public_code_and_the_command_line_use_public_names():
    folders = [ROOT / "benchmarks", ROOT / "docs", PACKAGE / "_cli"]
    left_out = {"_build", "auto_examples"}
    files = [
        path
        for place in folders
        for path in place.rglob("*.py")
        if not left_out & set(path.relative_to(ROOT).parts)
    ]
    private = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.module}.{found.name}"
        for path in files
        for found in imports(path)
        if found.module.split(".")[0] == "skrmt"
        and private_parts(found)
        and not (
            PACKAGE in path.parents
            and {"_cli", "_install", "_optional", "_wording"} & {*private_parts(found)}
        )
    ]
    nothing(private)


SEEN_FROM = {
    "dask": {"linear_model", "preference", "cluster"},
    "gpu": set(),
    "linear_model": {"linear_model", "model_selection"},
    "preference": {"preference", "theory"},
    "properties": set(),
}
"""Folder of tests: the subjects whose kernels they may import, if not only that of its name."""


def kernels(path: Path) -> set[str]:
    """Return the subpackages whose private modules a test may import from."""
    parts = path.relative_to(ROOT / "tests").parts
    shared = {"utils", "linalg", "_install"}
    if len(parts) == 1:
        return shared
    if parts[0] == "cli":
        return shared | {"_cli", "__main__"}
    return shared | SEEN_FROM.get(parts[0], {parts[0]})


def is_record(found: Import) -> bool:
    """Tell whether a name of a private module is a NamedTuple."""
    member = getattr(importlib.import_module(found.module), found.name, None)
    return isinstance(member, type) and issubclass(member, tuple) and hasattr(member, "_fields")


def improper(path: Path) -> list[str]:
    """Return the private names that a test imports and should not."""
    return [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.module}.{found.name}"
        for found in imports(path)
        if found.module.split(".")[0] == "skrmt"
        and any(part not in {"__main__", "_install"} for part in private_parts(found))
        and (
            found.top.split(".")[1] not in kernels(path)
            or (found.name.startswith("_") and not is_module(found) and not compat(found))
        )
    ]


def is_module(found: Import) -> bool:
    """Tell whether a name is a module, which a test needs whole to replace a part of it."""
    return (ROOT / Path(*found.module.split(".")) / f"{found.name}.py").is_file()


def compat(found: Import) -> bool:
    """Tell whether the name is scikit-learn's own."""
    return found.module == "skrmt.utils._sklearn_compat"


def test_tests_import_public_names_and_the_kernels_of_their_subject():
    nothing([problem for path in TESTS for problem in improper(path)])


def test_tests_import_no_record_of_a_private_module():
    nothing(
        [
            f"{path.relative_to(ROOT)}:{found.line} imports {found.module}.{found.name}"
            for path in TESTS
            for found in imports(path)
            if found.module.split(".")[0] == "skrmt" and private_parts(found) and is_record(found)
        ]
    )


def test_names_of_modules():
    """Modules are private but for those of theory and `utils.testing`."""
    names = {relative_name(path) for path in FILES}
    assert not {part for name in names for part in name[:-3].split("/")} & RESERVED
    public = {
        name
        for name in names
        if name.count("/")
        and not name.endswith("/__init__.py")
        and not name.rpartition("/")[2].startswith("_")
    }
    assert public == {"utils/testing.py"}


def test_subpackages_declare_their_names_and_check_the_installation():
    problems = []
    for name in public_subpackages():
        module = importlib.import_module(name)
        missing = [public for public in module.__all__ if not hasattr(module, public)]
        problems += [f"{name}.{public} is not there" for public in missing]
        if len(set(module.__all__)) < len(module.__all__):
            problems.append(f"{name}.__all__ names something twice")
        source = ast.parse(Path(module.__file__).read_bytes())
        called = {ast.unparse(node.value) for node in source.body if isinstance(node, ast.Expr)}
        if not called & {"check()", "_install.check()"}:
            problems.append(f"{name} does not check the installation")
    nothing(problems)


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


RULES = [
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
]
"""A file, its source, and whether it breaks a rule."""


def test_the_rules_see_what_they_should(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "skrmt")
    for where, code, broken in RULES:
        path = tmp_path / "skrmt" / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        imports.cache_clear()
        assert bool(forbidden(path)) == broken, (where, code)
