"""Estimate what synthetic rows are worth beside the rows of a table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linear_model import SyntheticMixClassifier
from ..model_selection._table import make_features, read_labels
from ..utils._optional import import_optional
from ..utils._wording import count, listed, one_line
from ._fitting import fit_quietly
from ._table import check_columns
from ._text import CommandError, percent


class Synthetic(NamedTuple):
    """Synthetic rows beside real ones.

    Attributes
    ----------
    name : str
        Name of their file.
    n_rows : int
        Number of synthetic rows with a label.
    model : SyntheticMixClassifier
        Fitted to both.
    notes : list of str
        What was left out or warned of.
    """

    name: str
    n_rows: int
    model: SyntheticMixClassifier
    notes: list


def weigh_synthetic(frame, labels, table, target, *, name, drop=()):
    """Fit a classifier to real and synthetic rows."""
    check_columns(table, [target])
    _check_same_columns(frame, table, name, {target, *drop})
    made = read_labels(table[target])
    unknown = sorted(set(made.values.tolist()) - set(labels.tolist()), key=str)
    if unknown:
        raise CommandError(
            f"{name} has labels that the real rows have not: {listed([str(u) for u in unknown])}."
        )
    rows = table[made.kept].reset_index(drop=True)
    pandas = import_optional("pandas", "cli")
    columns = [column for column in frame.columns if column not in {target, *drop}]
    both = pandas.concat([frame[columns], rows[columns]], ignore_index=True)
    features = make_features(both, np.concatenate([labels, made.values]))
    model = SyntheticMixClassifier(random_state=0)
    try:
        _, _, notes = fit_quietly(
            model,
            features.X[: len(labels)],
            labels,
            X_synthetic=features.X[len(labels) :],
            y_synthetic=made.values,
        )
    except (ValueError, TypeError) as error:
        raise CommandError(f"{name}: {one_line(error, 300)}") from error
    return Synthetic(name, len(rows), model, [*made.notes, *notes])


def _check_same_columns(frame, table, name, unused):
    """Raise where a column of the real rows is missing among the synthetic ones."""
    missing = [c for c in frame.columns if c not in unused and c not in table.columns]
    if missing:
        raise CommandError(
            f"{name} lacks the columns {listed([str(c) for c in missing])}: synthetic rows need "
            "those of the real file. Leave columns out with --drop."
        )


def synthetic_rows(found):
    """Return the cells of the table of synthetic rows."""
    model = found.model
    weight = float(np.ravel(model.synthetic_weight_)[0])
    cells: list[tuple[str, Any]] = [
        ("rows", f"{count(model.n_real_, 'real row')}, {count(found.n_rows, 'synthetic row')}"),
        ("accuracy with real rows only", _share(model.real_only_accuracy_)),
        ("accuracy with all rows at weight 1", _share(model.mix_all_accuracy_)),
        ("accuracy at the best weight", _share(model.theoretical_accuracy_)),
        ("best weight of a synthetic row", f"{weight:.3g}"),
        ("synthetic labels that are wrong", _range(*model.noise_rate_interval_)),
        (
            "real rows that all of them replace",
            _number(model.equivalent_real_samples_ - model.n_effective_samples_),
        ),
    ]
    return cells


def synthetic_advice(found):
    """Return what the report of the classifier advises."""
    first = "These accuracies are on labels as the real file has them, wrong ones included."
    return [first, *map(str, found.model.data_report().advice), *found.notes]


def _share(value):
    """Return a share as text, or "not known"."""
    return percent(value) if np.isfinite(value) else "not known"


def _range(low, high):
    """Return a range of shares as text, or "not known"."""
    return "not known" if high - low == 1.0 else f"{percent(low)} to {percent(high)}"


def _number(value):
    """Return a number of rows as text, or "not known"."""
    return f"{max(0.0, value):.0f}" if np.isfinite(value) else "not known"
