"""Feature names of one frame among several, read and checked as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skrmt.utils._feature_names import check_feature_names, feature_names


class Matcher:
    """An estimator, for its name."""


FRAME = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])


def test_names_are_read_and_checked():
    assert feature_names(FRAME).tolist() == ["a", "b", "c"]
    assert feature_names(np.eye(3)) is None
    check_feature_names(Matcher(), FRAME, feature_names(FRAME))
    check_feature_names(Matcher(), np.eye(3), None)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="must be in the same order"):
        check_feature_names(Matcher(), FRAME[["b", "a", "c"]], feature_names(FRAME))
    with pytest.raises(ValueError, match="unseen at fit time"):
        check_feature_names(Matcher(), FRAME.rename(columns={"a": "z"}), feature_names(FRAME))


def test_missing_names_are_warned_of():
    with pytest.warns(UserWarning, match="X has feature names, but Matcher"):
        check_feature_names(Matcher(), FRAME, None)
    with pytest.warns(UserWarning, match="but Matcher was fitted with feature names"):
        check_feature_names(Matcher(), np.eye(3), feature_names(FRAME))
