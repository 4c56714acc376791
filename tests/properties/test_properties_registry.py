"""Every public name of skrmt has a property: a new name must bring one.

A test says which names it is about with ``@pytest.mark.property_of("theory.sgd.tail_index")``;
names are given without the leading `skrmt.`. The marks are read from the sources, so that this
test tells the same whichever tests are selected.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from pathlib import Path

from skrmt.utils._discovery import public_modules

HERE = Path(__file__).parent


def public_names() -> list[str]:
    """Return the public functions and classes, by the names users import them with."""
    return [
        f"{name}.{public}".removeprefix("skrmt.")
        for name in public_modules()
        for public in importlib.import_module(name).__all__
        if not inspect.ismodule(getattr(importlib.import_module(name), public))
    ]


def marks(test: ast.FunctionDef) -> list[str]:
    """Return the names in the marks `property_of` of a test."""
    return [
        argument.value
        for call in test.decorator_list
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "property_of"
        for argument in call.args
    ]


@functools.cache
def registry() -> dict[str, list[str]]:
    """Return for each public name the properties about it."""
    found: dict[str, list[str]] = {}
    for path in sorted(HERE.glob("test_properties_*.py")):
        for node in ast.parse(path.read_text()).body:
            for name in marks(node) if isinstance(node, ast.FunctionDef) else []:
                found.setdefault(name, []).append(f"{path.name}::{node.name}")
    return found


@functools.cache
def words(path: Path) -> set[str]:
    """Return the identifiers and the words of strings that a source uses outside its marks."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [
                call
                for call in node.decorator_list
                if not (isinstance(call, ast.Call) and "property_of" in ast.dump(call.func))
            ]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return used | {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_public_names_have_a_property():
    without = [name for name in public_names() if name not in registry()]
    assert not without, f"mark a property with property_of: {', '.join(without)}"


def test_marks_name_what_is_public():
    assert set(registry()) - set(public_names()) == set()


def is_result(name: str) -> bool:
    """Tell whether this is a NamedTuple, which a property reads without naming it."""
    module, _, public = name.rpartition(".")
    return hasattr(getattr(importlib.import_module(f"skrmt.{module}"), public), "_fields")


def test_properties_use_what_they_name():
    unused = [
        f"{test}: {name}"
        for name, tests in registry().items()
        for test in tests
        if name.rpartition(".")[2] not in words(HERE / test.partition("::")[0])
        and not is_result(name)
    ]
    assert unused == []
