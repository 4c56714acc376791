"""What the demonstration prints."""

from __future__ import annotations

import numpy as np

from ..utils._wording import count
from ._fitting import BRIEFLY
from ._text import WIDTH, likelihood, paragraph, percent, span, table

OURS, RIDGE, LOGISTIC = METHODS = ("skrmt", "RidgeClassifierCV", "LogisticRegressionCV")
ROWS_SHOWN = 5


def demo_text(results):
    """Write the results of the demonstration."""
    first = [runs[0] for runs in results]
    sections = [_noise(first), _prediction(first), _rivals(first)]
    if len(results[0]) > 1:
        sections.append(_repeats(results))
    sections.append(_issues(first))
    numbered = [f"{k}. {section}" for k, section in enumerate(sections, start=1)]
    return "\n\n\n".join([_introduction(), *numbered])


def _section(title, text, *blocks):
    """Return a title, a paragraph below and what follows."""
    return "\n\n".join([f"{title}\n{paragraph(text)}", *blocks])


def _introduction():
    """Describe what is done."""
    title = "skrmt demo: learning from labels that are partly wrong"
    text = """Four data sets that come with scikit-learn. Half of the rows of each are for training:
        some of their labels are replaced by wrong ones (10% in one class and 40% in the other;
        40% of all labels for ten digits). The other half keeps its true labels and is not
        used for training: the accuracy predicted from the first is measured on it."""
    return f"{title}\n{'=' * WIDTH}\n{paragraph(text)}"


def _noise(first):
    """Compare noise rates."""
    rows = []
    for run in first:
        size = [run.problem.name, str(len(run.rows)), str(run.model.n_features_in_)]
        for cells in _rates(run):
            rows.append([*size, *cells])
            size = ["", "", ""]
    text = "Estimated by skrmt from the noisy training rows alone."
    header = [
        "data set",
        "rows",
        "columns",
        "true class",
        "labels wrong",
        "estimated",
        "+/- 1 s.d.",
    ]
    return _section("How many labels are wrong?", text, table(header, rows, left={0, 3}))


def _rates(run):
    """Return the cells of true and estimated rates, for each class of two or all of many."""
    model = run.model
    if len(model.classes_) > 2:
        estimated = float(model.class_prior_ @ model.noise_rates_)
        yield f"all {len(model.classes_)}", percent(run.wrong.mean()), percent(estimated), ""
        return
    for label, rate, std in zip(
        model.classes_, model.noise_rates_, model.noise_rates_std_, strict=True
    ):
        actual = run.wrong[run.truth == label].mean()
        yield str(label), percent(actual), percent(rate), f"{100 * std:.1f}"


def _prediction(first):
    """Compare predicted with actual accuracies."""
    rows = [
        [
            run.problem.name,
            percent(run.model.theoretical_accuracy_),
            span(run.model.theoretical_accuracy_interval_),
            percent(run.accuracies[OURS]),
            "inside" if run.inside else "OUTSIDE",
            *_stories(run.model),
            BRIEFLY[run.model.regime_],
        ]
        for run in first
    ]
    text = """The share of new rows whose true class is predicted. Again the prediction uses the
        noisy training rows alone; "actual" is what the clean test rows show. Overlapping classes
        and wrong labels look the same: the prediction is a mean over both stories."""
    header = ["data set", "predicted", "95% interval", "actual", "", "if all\nright"]
    header += ["if some\nwrong", ""]
    title = "How accurate is the classifier on clean labels?"
    return _section(title, text, table(header, rows, left={0, 4, 7}))


def _stories(model):
    """Return the accuracies if all labels are right and if some are wrong, as cells."""
    for accuracy in (model.accuracy_if_clean_, model.accuracy_if_noisy_):
        yield percent(accuracy) if np.isfinite(accuracy) else "excluded"


def _rivals(first):
    """Compare methods."""
    rows = [
        [run.problem.name]
        + [percent(run.accuracies[name]) for name in METHODS]
        + [_duration(run.seconds[name]) for name in METHODS]
        for run in first
    ]
    header = ["data set", "skrmt\nright", "Ridge-\nClassifierCV\nright", "Logistic-\nRegressionCV"]
    header[-1] += "\nright"
    header += ["skrmt\ntime", "Ridge-\nClassifierCV\ntime", "Logistic-\nRegressionCV\ntime"]
    text = """Accuracy on the clean test rows of three linear classifiers trained on the same noisy
        labels, and the time to fit each on one thread. The two of scikit-learn choose their penalty
        by cross-validation on the noisy labels."""
    return _section("What do methods that trust the labels get?", text, table(header, rows))


def _duration(seconds):
    """Write a time."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _repeats(results):
    """Summarise all splits."""
    rows = [
        [
            runs[0].problem.name,
            *(percent(np.mean([run.accuracies[name] for run in runs])) for name in METHODS),
            f"{100 * np.mean([abs(run.error) for run in runs]):.1f} points",
            f"{sum(run.inside for run in runs)} of {len(runs)}",
        ]
        for runs in results
    ]
    text = f"""{count(len(results[0]), "random split")} of each data set, each with new noise: mean
        accuracy on the clean test rows, mean distance between predicted and actual accuracy, and
        how often the actual one is inside the 95% interval."""
    header = ["data set", "skrmt", "Ridge-\nClassifierCV", "Logistic-\nRegressionCV"]
    header += ["|predicted\n- actual|", "inside"]
    return _section("Was that luck?", text, table(header, rows))


def _issues(first):
    """List the most suspicious rows."""
    text = f"""The {ROWS_SHOWN} training rows of each data set whose label is most likely wrong;
        then how good the whole list is, all rows that are more likely wrong than right. Rows count
        from 0 in the data set of scikit-learn."""
    rows = [cells for run in first for cells in _suspicious(run)]
    header = ["data set", "row", "label given", "probability wrong", "true label", "really wrong?"]
    most = table(header, rows, left={0, 2, 4, 5})
    header = ["data set", "rows listed", "really wrong", "share of all wrong labels found"]
    return _section(
        "Which rows are mislabelled?", text, most, table(header, [_found(run) for run in first])
    )


def _suspicious(run):
    """Return the cells of the most suspicious rows."""
    name = run.problem.name
    issues = run.model.find_label_issues(threshold=0.0)
    for i, probability in list(zip(*issues, strict=True))[:ROWS_SHOWN]:
        row = run.problem.kept[run.rows[i]]
        answer = "yes" if run.wrong[i] else "no"
        yield [
            name,
            f"{row}",
            f"{run.given[i]}",
            likelihood(probability),
            f"{run.truth[i]}",
            answer,
        ]
        name = ""


def _found(run):
    """Return the cells that show how good the list is."""
    listed = run.model.find_label_issues().indices
    right = int(run.wrong[listed].sum())
    shares = right / max(len(listed), 1), right / max(int(run.wrong.sum()), 1)
    return [run.problem.name, str(len(listed)), *(percent(share, 0) for share in shares)]
