"""SyntheticMixClassifier: bad input gets a clear error, poor input a warning."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4))
Y = np.arange(30) % 2
XS = RNG.standard_normal((20, 4))
YS = np.arange(20) % 2
SOURCE = np.repeat([0, 1], [30, 20])
ALL_X, ALL_Y = np.concatenate([X, XS]), np.concatenate([Y, YS])
APART = {"X_synthetic": XS, "y_synthetic": YS}


MASKED = np.ma.masked_array(XS, mask=XS > 2)


def nan_rows():
    bad = XS.copy()
    bad[3, 1] = np.nan
    return bad


@pytest.mark.parametrize(
    ("parameters", "arguments", "message"),
    [
        ({}, {"sample_source": SOURCE, **APART}, "Both sample_source and X_synthetic"),
        ({}, {"X_synthetic": XS}, "without y_synthetic"),
        ({}, {"y_synthetic": YS}, "without X_synthetic"),
        ({}, {"keep": np.ones(30, bool)}, "keep concerns synthetic rows"),
        ({}, {"verifier_score": np.ones(30)}, "verifier_score concerns synthetic rows"),
        ({"pruning": "mask"}, {}, "pruning='mask' concerns synthetic rows"),
        ({"generator_source": "same"}, {}, "generator_source='same' concerns"),
        ({"pruning": "mask"}, APART, "pruning='mask' needs keep"),
        ({"pruning": "score"}, APART, "pruning='score' needs verifier_score"),
        ({"pruning": "mask"}, {**APART, "keep": np.ones(30, bool)}, "keep has shape"),
        ({"pruning": "mask"}, {**APART, "keep": np.full(20, 2)}, "other than True and False"),
        ({"pruning": "score"}, {**APART, "verifier_score": np.full(20, np.nan)}, "contains NaN"),
        ({}, {"X_synthetic": XS, "y_synthetic": YS + 5}, r"labels \[5, 6\]"),
        ({}, {"X_synthetic": XS[:, :3], "y_synthetic": YS}, "features"),
        ({}, {"X_synthetic": nan_rows(), "y_synthetic": YS}, "NaN"),
        ({}, {"X_synthetic": XS, "y_synthetic": YS[:5]}, "y_synthetic has shape"),
        ({}, {"sample_source": np.zeros(4)}, "sample_source has shape"),
        ({}, {"sample_source": np.full(30, -1)}, "give 0 for real rows"),
        ({}, {"sample_source": np.full(30, 0.5)}, "give 0 for real rows"),
        ({"synthetic_weight": 1.5}, APART, r"synthetic_weight=1.5 must be"),
        ({"synthetic_weight": -0.1}, APART, r"must be 'auto' or in \[0, 1\]"),
        ({"synthetic_weight": [0.1, 0.2]}, APART, "there are 1 synthetic sources"),
        ({"alpha": -1.0}, APART, "alpha=-1.0 must be"),
        ({"alpha": np.inf}, APART, "alpha=inf must be"),
        ({"alpha": []}, APART, "alpha"),
        ({"alpha": ["a"]}, APART, "alpha has values that are not numbers"),
        ({"synthetic_weight": ["a"]}, APART, "synthetic_weight has values that are not numbers"),
        (
            {"pruning": "score", "prune_threshold": float("nan")},
            {**APART, "verifier_score": np.ones(20)},
            "prune_threshold=nan",
        ),
        (
            {"pruning": "score"},
            {**APART, "verifier_score": np.full(20, "a")},
            "verifier_score has values that are not numbers",
        ),
        ({}, {"sample_source": np.full(30, np.nan)}, "give 0 for real rows"),
        ({}, {**APART, "sample_weight": np.zeros(30)}, "zero for every sample"),
        ({}, {**APART, "sample_weight": -np.ones(30)}, "negative"),
        ({"generator_source": "same"}, APART, "not callable"),
    ],
)
def test_bad_arguments(parameters, arguments, message):
    model = SyntheticMixClassifier(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, **arguments)
    assert not hasattr(model, "coef_")


def test_penalty_of_zero_needs_rows():
    wide, few = RNG.standard_normal((10, 30)), np.arange(10) % 2
    more = {"X_synthetic": RNG.standard_normal((15, 30)), "y_synthetic": np.arange(15) % 2}
    with pytest.raises(ValueError, match="alpha=0 needs more rows than features"):
        SyntheticMixClassifier(0.0).fit(wide, few, **more)


def test_failed_fit_keeps_the_previous_one():
    model = SyntheticMixClassifier().fit(X, Y, **APART)
    before = model.coef_
    with pytest.raises(ValueError, match="labels"):
        model.fit(X[:, :3], Y, X_synthetic=XS[:, :3], y_synthetic=YS + 3)
    assert model.coef_ is before and model.n_features_in_ == 4


def test_nothing_kept_fits_real_rows():
    model = SyntheticMixClassifier(pruning="mask")
    with pytest.warns(TheoryWarning, match="keeps no synthetic row"):
        model.fit(X, Y, **APART, keep=np.zeros(20, bool))
    total = len(Y) + len(YS)
    alone = SyntheticMixClassifier(model.alpha_ * total / len(Y)).fit(X, Y)
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-8)
    np.testing.assert_array_equal(model.synthetic_weight_, [0.0])


def test_no_real_rows_fits_without_a_claim():
    model = SyntheticMixClassifier()
    with pytest.warns(TheoryWarning, match="no real row"):
        model.fit(ALL_X, ALL_Y, sample_source=np.ones(50, dtype=int))
    for name in ("theoretical_accuracy_", "gain_", "real_only_accuracy_", "model_accuracy_"):
        assert np.isnan(getattr(model, name))
    assert model.predict(X).shape == (30,)
    assert model.regime_ == "too_few_rows" and model.n_effective_samples_ == 0
    for call in (
        lambda: model.forecast(weight=[0, 1]).score,
        lambda: model.required(0.9),
        model.best,
    ):
        with pytest.warns(TheoryWarning, match="at least 10 real rows"):
            assert np.isnan(call()).all()
    assert "nothing can be said" in str(model.data_report())
    with (
        pytest.raises(ValueError, match="no synthetic row is kept"),
    ):
        SyntheticMixClassifier(synthetic_weight=0.0).fit(
            ALL_X, ALL_Y, sample_source=np.ones(50, dtype=int)
        )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X_synthetic", MASKED),
        ("y_synthetic", np.ma.masked_array(YS, mask=YS == 3)),
        ("keep", np.ma.masked_array(YS == 1, mask=YS == 3)),
    ],
)
def test_masked_arrays_are_refused(name, values):
    with pytest.raises(TypeError, match=f"{name} is a numpy.ma.MaskedArray"):
        SyntheticMixClassifier(pruning="mask").fit(X, Y, **(APART | {"keep": YS} | {name: values}))


def test_missing_synthetic_labels_are_refused():
    labels = YS.astype(object)
    labels[3] = None
    with pytest.raises(ValueError, match="y_synthetic has a missing label at row 3"):
        SyntheticMixClassifier().fit(X, Y, X_synthetic=XS, y_synthetic=labels)


@pytest.mark.parametrize("score", [-np.inf, np.inf, 1.0])
def test_scores_without_order_keep_every_row(score):
    model = SyntheticMixClassifier(pruning="score")
    model.fit(X, Y, **APART, verifier_score=np.full(20, score))
    plain = SyntheticMixClassifier().fit(X, Y, **APART)
    np.testing.assert_allclose(model.coef_, plain.coef_)


def test_synthetic_rows_of_no_weight_are_no_rows():
    model = SyntheticMixClassifier()
    with pytest.warns(TheoryWarning, match="keeps no synthetic row of positive weight"):
        model.fit(ALL_X, ALL_Y, 1.0 * (SOURCE == 0), sample_source=SOURCE)
    alone = SyntheticMixClassifier(model.alpha_).fit(X, Y)
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-8)


def test_tiny_data_fit():
    model = SyntheticMixClassifier().fit(1e-140 * X, Y, X_synthetic=1e-140 * XS, y_synthetic=YS)
    plain = SyntheticMixClassifier().fit(X, Y, **APART)
    assert model.theoretical_accuracy_ == pytest.approx(plain.theoretical_accuracy_)
    with pytest.warns(TheoryWarning, match="effective real rows"):
        SyntheticMixClassifier().fit(X[:2], Y[:2], **APART)


def test_few_real_rows_make_no_claim():
    model = SyntheticMixClassifier()
    with pytest.warns(TheoryWarning, match="effective real rows") as caught:
        model.fit(X[[*range(6), 5]], Y[[*range(6), 5]], **APART)
    assert len(caught) == 1, "the most serious cause alone is named"
    assert np.isnan(model.theoretical_accuracy_) and model.regime_ == "too_few_rows"
    assert model.n_effective_samples_ == pytest.approx(49 / 9)
    np.testing.assert_array_equal(model.theoretical_accuracy_interval_, [0, 1])


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("forecast", {"n_samples": 0.5}, "n_samples"),
        ("forecast", {"n_synthetic": [-1]}, "n_synthetic"),
        ("forecast", {"n_synthetic": [np.inf]}, "n_synthetic"),
        ("forecast", {"weight": [1.2]}, "weight"),
        ("forecast", {"keep_rates": (0.5, 1.5)}, "keep_rates"),
        ("forecast", {"keep_rates": 0.5}, "keep_rates"),
        ("best", {"weight": -1}, "weight"),
        ("best", {"weight": [0.1, 0.2]}, "must be one number"),
        ("best", {"n_synthetic": 5}, "is what of='n_synthetic' asks for"),
        ("best", {"of": "n_samples"}, "of='n_samples'"),
        ("best", {"max_n_synthetic": 0}, "max_n_synthetic"),
        ("required", {"score": 1.5}, "score"),
        ("required", {"score": 0.5, "of": "weight"}, "of='weight'"),
        ("required", {"score": 0.5, "keep_rates": [(1, 1), (1, 0)]}, "must be one pair"),
    ],
)
def test_bad_forecasts(method, arguments, message):
    model = SyntheticMixClassifier().fit(X, Y, **APART)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(**arguments)


def copier(rows, labels, n, random_state):
    index = np.arange(n) % len(labels)
    return rows[index], labels[index]


@pytest.mark.parametrize(
    ("generator", "pruning", "message"),
    [
        (lambda rows, labels, n, seed: rows, None, "must return"),
        (copier, "mask", "must return"),
        (lambda rows, labels, n, seed: (rows[:, :2], labels), None, "features"),
        (lambda rows, labels, n, seed: (rows, labels + 7), None, "not among"),
    ],
)
def test_bad_generators(generator, pruning, message):
    model = SyntheticMixClassifier(
        generator_source="same", generator=generator, pruning=pruning, random_state=0
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, **APART, keep=np.ones(20, bool))
