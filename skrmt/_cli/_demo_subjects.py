"""Short demonstrations of every subject: what is predicted, and what is measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from ..exceptions import TheoryWarning
from ._output import check_free, output_folder, write_figure
from ._progress import working
from ._text import WIDTH, paragraph, table

Row = tuple[str, str, str]


class Demonstration(NamedTuple):
    """What a demonstration shows.

    Attributes
    ----------
    text : str
        What is done.
    rows : list of tuple of str
        What is asked, what was predicted, what was measured.
    draw : callable or None
        Draws the figure through a display, and returns it.
    """

    text: str
    rows: list[Row]
    draw: Callable[[], Any] | None = None


def run_subject(subject, output, seed, force=False):
    """Run the demonstration of a subject, print it and draw its figure."""
    path = output_folder(output, force) / f"{subject}.png"
    check_free([path], force)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        with working(f"running {subject}"):
            shown = SUBJECTS[subject](seed)
        print(f"skrmt demo: {subject}\n{'=' * WIDTH}")
        print(paragraph(shown.text))
        print()
        print(table(["", "predicted", "measured"], shown.rows, left=1))
        print(_drawn(shown, path, force))
    return 0


def _drawn(shown, path, force):
    """Draw the figure, and return where it is or what is missing to draw it."""
    if shown.draw is None:
        return ""
    try:
        write_figure(path, shown.draw(), 150, force)
    except ImportError as error:
        return "\n" + paragraph(f"No figure was drawn. {error}")
    return f"\nThe same in a figure: {path}"


def _percent(value):
    """Write a share with one digit."""
    return f"{100 * value:.1f}%"


def _synthetic_mix(seed):
    """Weigh synthetic digits of which three in ten labels are wrong."""
    from ..datasets import GaussianGenerator
    from ..inspection import SyntheticValueDisplay
    from ..linear_model import SyntheticMixClassifier

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order] / 16.0, y[order]
    generator = GaussianGenerator(noise_rate=0.3, random_state=seed).fit(X[:400], y[:400])
    X_made, y_made = generator.sample(1000)
    real, rest = slice(400, 460), slice(460, None)
    made = {"X_synthetic": X_made, "y_synthetic": y_made}
    model = SyntheticMixClassifier(random_state=0).fit(X[real], y[real], **made)
    wrong = model.noise_rate_interval_
    ends = [
        SyntheticMixClassifier(synthetic_weight=weight, random_state=0)
        .fit(X[real], y[real], **made)
        .score(X[rest], y[rest])
        for weight in (0.0, 1.0)
    ]
    rows = [
        ("wrong synthetic labels", " to ".join(map(_percent, wrong)), "30.0%"),
        ("accuracy, real rows only", _percent(model.real_only_accuracy_), _percent(ends[0])),
        ("accuracy, weight 1", _percent(model.mix_all_accuracy_), _percent(ends[1])),
        (
            "accuracy, best weight",
            _percent(model.theoretical_accuracy_),
            _percent(model.score(X[rest], y[rest])),
        ),
    ]
    text = (
        "60 real digits and 1000 made by a generator, three labels in ten of which are wrong: what "
        "are they worth?"
    )
    return Demonstration(text, rows, lambda: SyntheticValueDisplay.from_estimator(model).figure_)


def _collapse(seed):
    """Train models of Python's manual on their own output."""
    from pydoc_data.topics import topics

    from ..collapse import CollapseForecaster
    from ..inspection import CollapseForecastDisplay

    forecaster = CollapseForecaster(n_generations=20, tokenizer=str.split)
    forecaster.fit(list(topics.values()))
    found = forecaster.simulate(20, seed)
    predicted = forecaster.theoretical_diversity_
    rows = [
        (f"diversity after {n} generations", f"{predicted[n]:.3f}", f"{found.score[n]:.3f}")
        for n in (1, 5, 10, 20)
    ]
    text = (
        "Models of the words of Python's manual, each trained on what the one before wrote: how "
        "fast does its language die?"
    )
    return Demonstration(
        text,
        rows,
        lambda: (
            CollapseForecastDisplay.from_estimators(
                {"as it is": forecaster}, n_chains=20, random_state=seed
            ).figure_
        ),
    )


def _tensor(seed):
    """Find the components of a noisy cube."""
    from ..datasets import make_spiked_tensor
    from ..decomposition import TensorDeflation, factor_alignments
    from ..inspection import TensorScreeDisplay

    data = make_spiked_tensor((50, 60, 70), [5.0, 3.0], grams=0.5, noise_std=2.0, random_state=seed)
    model = TensorDeflation(random_state=0).fit(data.X)
    real = factor_alignments(model.factors_, data.factors).mean(axis=1)
    predicted = np.asarray(model.theoretical_alignments_).mean(axis=1)
    rows = [("number of components", str(model.n_components_), "2")]
    rows += [
        (f"alignment of component {k + 1}", f"{a:.3f}", f"{b:.3f}")
        for k, (a, b) in enumerate(zip(np.ravel(predicted), np.ravel(real), strict=False))
    ]
    text = (
        "A cube of 50 x 60 x 70 measurements with two correlated components in strong noise: how "
        "many are there, and how close do we come?"
    )
    return Demonstration(text, rows, lambda: TensorScreeDisplay.from_estimator(model).figure_)


def _multi_view(seed):
    """Cluster digits seen through noisy copies."""
    from ..cluster import NestedTensorClustering
    from ..datasets import make_nested_views
    from ..inspection import ViewWeightsDisplay

    data = make_nested_views(
        400, 300, noise_stds=[1.0, 2.0, 3.0, 6.0], separation=2.0, random_state=seed
    )
    model = NestedTensorClustering(random_state=0).fit(data.X)
    noise = np.sqrt(model.noise_variance_)
    rows = [
        (
            "items in the right cluster",
            _percent(model.model_accuracy_),
            _percent(model.score(data.X, data.y)),
        ),
        *(
            (f"noise of view {k + 1}", f"{predicted:.2f}", f"{real:.2f}")
            for k, (predicted, real) in enumerate(zip(noise, (1.0, 2.0, 3.0, 6.0), strict=True))
        ),
    ]
    text = (
        "400 items seen through four views of unknown noise, without labels: which cluster is "
        "each in?"
    )
    return Demonstration(text, rows, lambda: ViewWeightsDisplay.from_estimator(model).figure_)


def _matching(seed):
    """Match two embedding spaces."""
    from ..datasets import make_paired_encoders
    from ..inspection import ScoreMatrixDisplay
    from ..matching import EncoderMatcher

    data = make_paired_encoders(300, 40, 60, n_latent=12, noise_std=0.8, random_state=seed)
    base, queries = slice(0, 150), (data.X[150:], data.Y[150:])
    rows = []
    for known in (40, 80, 150):
        matcher = EncoderMatcher(random_state=0).fit(data.X[base][:known], data.Y[base][:known])
        predicted, real = matcher.predict_accuracy(*queries).accuracy, matcher.score(*queries)
        rows.append((f"right matches, {known} known pairs", _percent(predicted), _percent(real)))
    text = (
        "Two embedding spaces of the same 300 items: which of 150 belong together, from known "
        "pairs?"
    )
    return Demonstration(
        text, rows, lambda: ScoreMatrixDisplay.from_estimator(matcher, *queries).figure_
    )


def _preference(seed):
    """Learn from comparisons, some of them wrong."""
    from ..preference import PreferencePolicy

    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(60)
    mean *= 1.5 / np.linalg.norm(mean)
    rows = []
    for noise in (0.0, 0.2):
        pairs = mean + rng.standard_normal((6000, 60))
        order = np.where(rng.random(6000) < 0.5, 1.0, -1.0)
        wrong = np.where(rng.random(6000) < noise, -1.0, 1.0)
        X, y = order[:, None] * pairs, order * wrong > 0
        policy = PreferencePolicy("ipo", noise_rate=noise).fit(X[:1000], y[:1000])
        real = (np.sign(X[1000:] @ policy.coef_.ravel()) == order[1000:]).mean()
        rows.append(
            (
                f"fresh pairs ranked rightly, {noise:.0%} judged wrongly",
                _percent(policy.theoretical_accuracy_),
                _percent(real),
            )
        )
    text = (
        "1000 comparisons of answers with 60 features: how many fresh pairs will be ranked rightly?"
    )
    return Demonstration(text, rows)


def _self_play(seed):
    """Let policies play against themselves."""
    from ..inspection import SelfPlayConvergenceDisplay
    from ..preference import SelfPlayPolicy

    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 5, 6))
    logits = X @ rng.standard_normal(6)
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    rows = []
    for beta in (1.5, 3.0):
        policy = SelfPlayPolicy(beta, mixture_weight=0.2, sampler="previous", n_rounds=20)
        policy.fit(X, y)
        steps = np.linalg.norm(np.diff(policy.coef_path_, axis=0), axis=1)
        known = steps > 1e-9 * steps[0]
        rate = (steps[1:] / np.maximum(steps[:-1], 1e-300))[known[1:]][:6].mean()
        stable = "converges" if beta > policy.min_beta_ else "diverges"
        measured_end = "converges" if steps[-1] < steps[0] else "diverges"
        rows.append((f"beta {beta}", stable, measured_end))
        rows.append(("  rate a round", f"{abs(policy.rate_):.3f}", f"{rate:.3f}"))
    text = "Self-play from 300 human choices, at two values of beta: does it settle, and how fast?"
    return Demonstration(
        text, rows, lambda: SelfPlayConvergenceDisplay.from_estimator(policy).figure_
    )


def _staged_sgd(seed):
    """Predict the loss curve of SGD on breast cancer."""
    from ..inspection import StagedLossDisplay
    from ..linear_model import Stage, StagedSGDRegressor

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    stages = [Stage(300, 8, 0.3, relative=True), Stage(150, 16, 0.3, "cosine", relative=True)]
    runs = [StagedSGDRegressor(stages, random_state=seed + k).fit(X, y) for k in range(30)]
    measured = np.mean([run.loss_curve_ for run in runs], axis=0)
    predicted = runs[0].theoretical_loss_curve_
    rows = [
        (
            f"mean loss of steps {a} to {b}",
            f"{predicted[a:b].mean():.4f}",
            f"{measured[a:b].mean():.4f}",
        )
        for a, b in ((0, 50), (50, 150), (150, 300), (300, 450))
    ]
    text = (
        "Two stages of SGD on breast cancer, the batch doubled and the rate decayed in the second: "
        "the loss curve before the first step, and the mean of 30 runs."
    )
    return Demonstration(text, rows, lambda: StagedLossDisplay.from_estimator(runs[0]).figure_)


def _generalization_report(seed):
    """Predict the accuracy of scikit-learn's estimators."""
    from ..model_selection import ForecastDisplay, GeneralizationReport

    rows = []
    for name, load, model in (
        ("breast cancer, ridge", load_breast_cancer, RidgeClassifier(10.0)),
        ("breast cancer, logistic", load_breast_cancer, LogisticRegression(C=0.1)),
        ("wine, ridge", load_wine, RidgeClassifier(10.0)),
        ("ten digits, support vectors", load_digits, SVC(random_state=0)),
        ("ten digits, ridge", load_digits, RidgeClassifier(30.0)),
    ):
        X, y = load(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, train_size=0.3, random_state=seed, stratify=y)
        report = GeneralizationReport(make_pipeline(StandardScaler(), model)).fit(X, y)
        real = report.estimator_.score(X_test, y_test)
        rows.append((f"accuracy, {name}", _percent(report.theoretical_accuracy_), _percent(real)))
    text = (
        "Estimators of scikit-learn on three tenths of real data: how right will they be on "
        "the rest?"
    )
    return Demonstration(text, rows, lambda: ForecastDisplay.from_estimator(report).figure_)


SUBJECTS = {
    "synthetic-mix": _synthetic_mix,
    "collapse": _collapse,
    "tensor-deflation": _tensor,
    "multi-view": _multi_view,
    "encoder-matching": _matching,
    "preference": _preference,
    "self-play": _self_play,
    "staged-sgd": _staged_sgd,
    "generalization-report": _generalization_report,
}
