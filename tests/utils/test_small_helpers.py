"""Optional imports, compatibility, documentation links, comparison and discovery."""

import importlib
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skrmt.utils import _docs, _sklearn_compat, all_estimators
from skrmt.utils._compare import assert_same, fitted_state
from skrmt.utils._discovery import public_subpackages
from skrmt.utils._global_state import changed, global_state
from skrmt.utils._optional import import_optional


def test_missing_package_names_the_extra():
    with pytest.raises(ImportError, match=r"no_such_package.*skrmt\[plot\]"):
        import_optional("no_such_package.inner", "plot")


def test_missing_torch_names_the_extra(without_torch):
    with pytest.raises(ImportError, match=r"skrmt\[torch\]"):
        import_optional("torch", "torch")


def test_broken_package_shows_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import another_missing_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_missing_package") as caught:
        import_optional("broken_package", "cli")
    assert "skrmt[" not in str(caught.value)


def test_compat_names_exist():
    for name in _sklearn_compat.__all__:
        assert getattr(_sklearn_compat, name) is not None


def test_stand_in_for_callbacks_does_nothing():
    context = _sklearn_compat._NoCallbackSupportMixin()._init_callback_context(max_subtasks=3)
    inner = context.subcontext(task_name="step").call_on_fit_task_begin(estimator=None)
    assert inner.call_on_fit_task_end(estimator=None) is False
    assert inner.propagate_callback_context(None) is inner


class Documented(_docs.DocLinkMixin, BaseEstimator):
    __module__ = "skrmt.linear_model.noise_aware._documented"


def test_no_address_no_link(monkeypatch):
    monkeypatch.setattr(_docs, "documentation_url", lambda: "")
    assert Documented()._get_doc_link() == ""


def test_link_to_the_public_name(monkeypatch):
    monkeypatch.setattr(_docs, "documentation_url", lambda: "https://docs.example")
    expected = "https://docs.example/api/generated/skrmt.linear_model.Documented.html"
    assert Documented()._get_doc_link() == expected
    assert expected in Documented()._repr_html_()


def test_all_estimators_are_public_and_build_without_arguments():
    for name, cls in all_estimators():
        assert cls.__name__ == name
        package = ".".join(cls.__module__.split(".")[:2])
        assert package in public_subpackages()
        assert getattr(importlib.import_module(package), name) is cls
        needed = {"HuggingFaceEncoder": ["a/name"], "GeneralizationReport": [None]}
        arguments = needed.get(name, [])
        assert not fitted_state(cls(*arguments))


def test_global_state_sees_each_change():
    before = global_state()
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("ignore")
        state = np.random.get_state()
        np.random.random()
        different = changed(before, global_state())
        np.random.set_state(state)
    assert set(different) == {"np.random", "np.errstate", "warnings.filters"}
    assert changed(before, global_state()) == []


@pytest.mark.parametrize(
    ("actual", "expected", "rtol"),
    [
        (1.0, 1.0 + 1e-9, 0.0),
        ([1, 2], [1, 3], 1.0),
        ({"a": 1}, {"b": 1}, 0.0),
        ([1.0], [1.0, 1.0], 0.0),
        (np.array([np.nan]), np.array([1.0]), 0.0),
        ("a", "b", 0.0),
        (np.ones(2), np.ones(2) * 1.1, 1e-2),
    ],
)
def test_assert_same_sees_differences(actual, expected, rtol):
    with pytest.raises(AssertionError):
        assert_same(actual, expected, rtol)


def test_assert_same_allows_what_it_says(backend):
    expected = {"a": [np.array([1.0, np.nan]), ("b", 2)], "c": None}
    actual = {"a": [backend.asarray([1.0 + 1e-9, np.nan]), ("b", 2)], "c": None}
    assert_same(actual, expected, 1e-8)
