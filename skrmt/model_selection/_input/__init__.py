"""What a report is given: rows, and an estimator of scikit-learn with its steps."""

from ._estimators import (
    CHOOSE_PENALTY,
    RIDGES,
    check_predicts,
    chooses_by_folds,
    fit_weighted,
    groups_name,
    has_other_penalty,
    has_theory,
    inverse_penalty,
    is_search,
    last_step,
    last_step_rows,
    ridge_penalty,
    searched,
)
from ._rows import Given, Rows, comparable, distinct_rows, params_of_rows, read_rows, some_rows

__all__ = [
    "CHOOSE_PENALTY",
    "Given",
    "RIDGES",
    "Rows",
    "check_predicts",
    "chooses_by_folds",
    "comparable",
    "distinct_rows",
    "fit_weighted",
    "groups_name",
    "has_other_penalty",
    "has_theory",
    "inverse_penalty",
    "is_search",
    "last_step",
    "last_step_rows",
    "params_of_rows",
    "read_rows",
    "ridge_penalty",
    "searched",
    "some_rows",
]
