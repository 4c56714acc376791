"""What all displays share."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.inspection import (
    AccuracyPathDisplay,
    NoiseSensitivityDisplay,
    ScoreDistributionDisplay,
)

DISPLAYS = [AccuracyPathDisplay, NoiseSensitivityDisplay, ScoreDistributionDisplay]
every_display = pytest.mark.parametrize("display", DISPLAYS)


@every_display
def test_unfitted_estimator(display):
    with pytest.raises(NotFittedError, match="call its 'fit'"):
        display.from_estimator(LogisticRegression())
    assert pyplot.get_fignums() == []


@every_display
def test_class_instead_of_estimator(display):
    with pytest.raises(TypeError, match="fitted instance"):
        display.from_estimator(LogisticRegression)


@every_display
def test_missing_attribute(display):
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match=r"LogisticRegression has no attribute .*_"):
        display.from_estimator(model)
    assert pyplot.get_fignums() == []


@every_display
def test_figure_of_its_own(display, binary):
    drawn = display.from_estimator(binary)
    assert pyplot.get_fignums() == [drawn.figure_.number]
    assert drawn.ax_.figure is drawn.figure_
    assert drawn.ax_.get_xlabel()
    assert drawn.ax_.get_ylabel()
    assert drawn.ax_.get_legend() is not None
    drawn.figure_.canvas.draw()


@every_display
def test_axes_given(display, binary):
    figure, axes = pyplot.subplots(1, 2)
    drawn = display.from_estimator(binary, ax=axes[1])
    assert drawn.ax_ is axes[1]
    assert drawn.figure_ is figure
    assert not axes[0].has_data()
    assert len(pyplot.get_fignums()) == 1


@every_display
def test_figure_outside_pyplot(display, binary):
    from matplotlib.figure import Figure

    display.from_estimator(binary, ax=Figure().subplots())
    assert pyplot.get_fignums() == []


@every_display
def test_plot_again(display, binary):
    drawn = display.from_estimator(binary)
    first = drawn.ax_
    assert drawn.plot() is drawn
    assert drawn.ax_ is not first


@every_display
def test_pipeline_and_search(display, binary):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    pipeline.steps[-1] = ("model", binary)
    drawn = display.from_estimator(pipeline)

    class Search:
        best_estimator_ = pipeline

    again = display.from_estimator(Search())
    for one, other in zip(drawn.ax_.get_lines(), again.ax_.get_lines(), strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


@every_display
def test_estimator_is_not_modified(display, binary):
    before = {name: np.copy(value) for name, value in vars(binary).items()}
    for value in vars(binary).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    display.from_estimator(binary)
    assert set(vars(binary)) == set(before)
    for name, value in vars(binary).items():
        np.testing.assert_array_equal(value, before[name])


@every_display
def test_torch_attributes(display, binary):
    torch = pytest.importorskip("torch")
    binary.held_out_scores_ = torch.as_tensor(binary.held_out_scores_)
    binary.label_posterior_ = torch.as_tensor(binary.label_posterior_)
    binary.coef_ = torch.tensor(binary.coef_, requires_grad=True)
    display.from_estimator(binary)


@every_display
def test_without_matplotlib(display, binary, monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    real_import = importlib.import_module

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ImportError, match=r"skrmt\[plot\]"):
        display.from_estimator(binary)


def test_import_loads_no_matplotlib():
    code = "import sys, skrmt.inspection; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
