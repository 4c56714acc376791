"""Ctrl-C in the middle of a fit leaves the fit before, whatever the fit was doing."""

from __future__ import annotations

import pickle
import sys
from functools import wraps
from zlib import crc32

import numpy as np
import pytest

from skrmt.utils import all_estimators
from tests.test_pickles import FITS

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_INTERRUPTS = 4
CLASSES = dict(all_estimators())
NAMES = [name for name in FITS if not name.endswith(("-unfitted", "-partial"))]


def fitted(name, monkeypatch):
    """Return a fitted estimator, and the call that fits it once more."""
    cls, calls = CLASSES[name.partition("-")[0]], []

    def recorded(method):
        @wraps(method)
        def inner(self, *args, **kwargs):
            calls.append((method.__name__, args, kwargs))
            return method(self, *args, **kwargs)

        return inner

    with monkeypatch.context() as patch:
        for method in ("fit", "fit_pairs"):
            if method in vars(cls) or method == "fit":
                patch.setattr(cls, method, recorded(getattr(cls, method)))
        model = FITS[name]()
    method, args, kwargs = calls[0]
    return model, lambda: getattr(model, method)(*args, **kwargs)


class Interrupt:
    """A profile that counts calls of functions of the package, and interrupts one of them."""

    def __init__(self, at=None):
        self.count, self.at = 0, at

    def __call__(self, frame, event, argument):
        if event != "call" or "/skrmt/" not in frame.f_code.co_filename.replace("\\", "/"):
            return
        self.count += 1
        if self.count == self.at:
            raise KeyboardInterrupt

    def during(self, action):
        """Do something under this profile."""
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            action()
        finally:
            sys.setprofile(before)


def test_every_estimator_is_interrupted():
    tested = {name.partition("-")[0] for name in NAMES}
    assert set(CLASSES) - tested == {"HuggingFaceEncoder"}


@pytest.mark.parametrize("name", NAMES)
def test_the_fit_before_is_left(name, monkeypatch):
    model, refit = fitted(name, monkeypatch)
    calls = Interrupt()
    calls.during(refit)
    assert calls.count > 1
    before = dict(vars(model))
    content = pickle.dumps(before)
    rng = np.random.default_rng(crc32(name.encode()))
    # The last call but a few is where attributes are assigned.
    places = {*rng.integers(2, calls.count + 1, N_INTERRUPTS).tolist(), calls.count}
    for place in sorted(places):
        with pytest.raises(KeyboardInterrupt):
            Interrupt(place).during(refit)
        assert vars(model).keys() == before.keys(), place
        assert all(vars(model)[key] is value for key, value in before.items()), place
        assert pickle.dumps(dict(vars(model))) == content, place
