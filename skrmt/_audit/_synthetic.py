"""Estimate what synthetic rows are worth beside the rows of a table."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from ..exceptions import TheoryWarning
from ..linear_model import SyntheticMixClassifier
from ..model_selection._table import make_features, read_labels
from ..utils._optional import import_optional
from ..utils._wording import count, listed
from ._words import share


class Synthetic(NamedTuple):
    """What synthetic rows are worth beside real ones.

    Attributes
    ----------
    frame : pandas.DataFrame
        Numbers of rows, accuracies, weight and wrong labels, in words; one column, `value`.
    advice : list of str
        What to do with the rows, and what was left out or warned of.
    """

    frame: object
    advice: list[str]


def weigh_synthetic(frame, labels, table, target, drop=()):
    """Fit a classifier to real and synthetic rows."""
    _check_columns(frame, table, target, drop)
    made = read_labels(table[target])
    unknown = sorted(set(made.values.tolist()) - set(labels.tolist()), key=str)
    if unknown:
        names = listed([str(label) for label in unknown])
        raise ValueError(f"synthetic has labels that the real rows have not: {names}.")
    rows = table[made.kept].reset_index(drop=True)
    pandas = import_optional("pandas", "cli")
    columns = [column for column in frame.columns if column not in {target, *drop}]
    both = pandas.concat([frame[columns], rows[columns]], ignore_index=True)
    X = make_features(both, np.concatenate([labels, made.values])).X
    n, model = len(labels), SyntheticMixClassifier(random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[:n], labels, X_synthetic=X[n:], y_synthetic=made.values)
    warned = [str(item.message) for item in caught if issubclass(item.category, TheoryWarning)]
    first = "These accuracies are on labels as the real rows have them, wrong ones included."
    advice = [first, *map(str, model.data_report().advice), *made.notes, *warned]
    values = dict(_values(model, len(rows)))
    return Synthetic(pandas.DataFrame({"value": values}), advice)


def _check_columns(frame, table, target, drop):
    """Raise where a column of the real rows is missing among the synthetic ones."""
    missing = [c for c in frame.columns if c not in drop and c not in table.columns]
    if target in missing:
        raise ValueError(f"synthetic has no column {target!r}, the target.")
    if missing:
        raise ValueError(
            f"synthetic lacks the columns {listed([str(c) for c in missing])}: synthetic rows need "
            "those of the real ones. Leave columns out with drop."
        )


def _values(model, n_made):
    """Return the numbers of the table of synthetic rows, in words."""
    weight = float(np.ravel(model.synthetic_weight_)[0])
    low, high = model.noise_rate_interval_
    wrong = "not known" if high - low == 1.0 else f"{share(low)} to {share(high)}"
    replaced = model.equivalent_real_samples_ - model.n_effective_samples_
    return [
        ("rows", f"{count(model.n_real_, 'real row')}, {count(n_made, 'synthetic row')}"),
        ("accuracy with real rows only", share(model.real_only_accuracy_)),
        ("accuracy with all rows at weight 1", share(model.mix_all_accuracy_)),
        ("accuracy at the best weight", share(model.theoretical_accuracy_)),
        ("best weight of a synthetic row", f"{weight:.3g}"),
        ("synthetic labels that are wrong", wrong),
        (
            "real rows that all of them replace",
            f"{max(0.0, replaced):.0f}" if np.isfinite(replaced) else "not known",
        ),
    ]
