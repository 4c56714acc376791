"""CollapseForecaster against enumeration, the theory, its own simulation and bad input."""

from __future__ import annotations

import itertools
import pickle
from math import factorial, prod
from pydoc_data.topics import topics

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skrmt.collapse import CollapseForecaster, NextTokenModel
from skrmt.exceptions import TheoryWarning
from skrmt.theory import collapse as theory
from skrmt.utils import Forecast

COUNTS = np.array([[4, 2, 1, 0], [3, 0, 0, 0], [1, 1, 0, 0], [0, 7, 0, 5], [0, 0, 1, 0]])
TEXT = topics["assert"].split()
SCHEMES = [
    ("full", {}),
    ("partial", {}),
    ("partial", {"real_weight": 0.3, "n_synthetic": 6}),
    ("fresh", {}),
    ("fresh", {"real_weight": "optimal", "n_real": 5}),
    ("accumulate", {}),
    ("random", {}),
    ("window", {"window": 3}),
]
NO_FORMULA = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def standard_error(simulated):
    """Return the standard errors of a simulated curve, from its band."""
    return (simulated.upper - simulated.lower) / (2 * 1.959964)


def curves_by_enumeration(counts, n, n_generations):
    """Return diversity, collapse, support and entropy of one context from its whole chain."""
    s = len(counts)
    states = [c for c in itertools.product(range(n + 1), repeat=s) if sum(c) == n]

    def row(p):
        return np.array(
            [factorial(n) / prod(map(factorial, c)) * prod(p ** np.array(c)) for c in states]
        )

    q = np.array(states) / n
    chain = np.array([row(p) for p in q])
    logs = np.log(np.where(q > 0, q, 1.0))
    values = np.stack(
        [1 - (q**2).sum(1), (q > 0).sum(1) == 1, (q > 0).sum(1), -(q * logs).sum(1)], axis=1
    )
    law, found = row(np.asarray(counts) / np.sum(counts)), []
    for _ in range(n_generations):
        found.append(law @ values)
        law = law @ chain
    return np.array(found)


@pytest.mark.parametrize("n_synthetic", [None, 5])
def test_full_curves_are_those_of_the_enumerated_chain(n_synthetic):
    model = CollapseForecaster(n_synthetic=n_synthetic, n_generations=12).fit(COUNTS)
    total = np.zeros((12, 4))
    for row in COUNTS:
        kept = row[row > 0]
        n = n_synthetic or kept.sum()
        one = curves_by_enumeration(kept, n, 12) if len(kept) > 1 else [[0, 1, 1, 0]] * 12
        share = kept.sum() / COUNTS.sum()
        total += np.array(one) * [share, 1 / len(COUNTS), 1, share]
    assert model.theoretical_diversity_[1:] == pytest.approx(total[:, 0], rel=1e-10)
    assert model.collapsed_fraction_[1:] == pytest.approx(total[:, 1], rel=1e-10)
    assert model.expected_support_[1:] == pytest.approx(total[:, 2], rel=1e-10)
    assert model.expected_entropy_[1:] == pytest.approx(total[:, 3], rel=1e-10)


@pytest.mark.parametrize(("scheme", "options"), SCHEMES)
@NO_FORMULA
def test_generation_0_is_the_corpus(scheme, options):
    model = CollapseForecaster(scheme, n_generations=3, **{"n_synthetic": 6, **options}).fit(COUNTS)
    frequencies = COUNTS / COUNTS.sum(1, keepdims=True)
    share = COUNTS.sum(1) / COUNTS.sum()
    logs = np.log(np.where(COUNTS > 0, frequencies, 1.0))
    assert model.theoretical_diversity_[0] == pytest.approx(share @ (1 - (frequencies**2).sum(1)))
    assert model.collapsed_fraction_[0] == pytest.approx(0.4)
    assert model.expected_support_[0] == 9
    assert model.expected_entropy_[0] == pytest.approx(-share @ (frequencies * logs).sum(1))


@pytest.mark.parametrize(("scheme", "options"), SCHEMES)
@NO_FORMULA
def test_simulated_diversity_agrees_with_the_forecast(scheme, options):
    model = CollapseForecaster(scheme, n_generations=15, random_state=3, **options).fit(COUNTS)
    simulated = model.simulate(6000)
    error = np.maximum(standard_error(simulated), 1e-12)
    assert (abs(simulated.score - model.theoretical_diversity_) <= 4.5 * error).all()


@pytest.mark.parametrize(
    ("curve", "attribute"),
    [
        ("collapsed_fraction", "collapsed_fraction_"),
        ("support", "expected_support_"),
        ("entropy", "expected_entropy_"),
    ],
)
@pytest.mark.parametrize("n_synthetic", [None, 3, 60])
def test_other_simulated_curves_agree_with_the_forecast(curve, attribute, n_synthetic):
    model = CollapseForecaster(n_synthetic=n_synthetic, n_generations=10).fit([TEXT])
    simulated = model.simulate(1500, random_state=1, curve=curve)
    one_event = 1 / 1500 / (len(model.corpus_.contexts_) if curve == "collapsed_fraction" else 1)
    error = np.maximum(standard_error(simulated), one_event)
    assert (abs(simulated.score - getattr(model, attribute)) <= 4.5 * error).all()


@pytest.mark.parametrize("scheme", ["partial", "accumulate"])
@NO_FORMULA
def test_no_token_is_lost_where_the_corpus_is_kept(scheme):
    model = CollapseForecaster(scheme, n_generations=5).fit(COUNTS)
    assert (model.expected_support_ == 9).all()
    assert (model.collapsed_fraction_ == 0.4).all()
    assert model.at_risk_tokens_ == []
    assert model.simulate(20, 0, curve="support").score == pytest.approx(np.full(6, 9.0))


@pytest.mark.parametrize("scheme", ["partial", "fresh", "accumulate", "random"])
def test_one_warning_names_the_curves_without_a_formula(scheme):
    with pytest.warns(TheoryWarning, match="expected_entropy_") as caught:
        model = CollapseForecaster(scheme, n_generations=3).fit(COUNTS)
    assert len(caught) == 1
    assert np.isnan(model.expected_entropy_[1:]).all()
    if scheme in ("fresh", "random"):
        assert np.isnan(model.collapsed_fraction_[1:]).all()
        assert model.at_risk_tokens_ == []


def test_forecasts_go_on_past_the_horizon():
    model = CollapseForecaster(n_generations=4).fit(COUNTS)
    found = model.forecast(generation=[0, 1, 4])
    assert isinstance(found, Forecast) and np.isnan(found.lower).all()
    assert found.score == pytest.approx(model.theoretical_diversity_[[0, 1, 4]])
    assert list(found.conditions) == ["generation"]
    assert model.forecast().score == pytest.approx(model.theoretical_diversity_[4])
    assert model.forecast(generation=np.inf).score == 0
    grid = model.forecast(generation=[[10], [20]], n_synthetic=[5, 6, 7])
    assert grid.score.shape == (2, 3)
    with pytest.raises(ValueError, match="generation"):
        model.forecast(generation=-1)
    with pytest.raises(TypeError, match="tokens"):
        model.forecast(tokens=3)


@pytest.mark.parametrize(("scheme", "options"), SCHEMES)
@NO_FORMULA
def test_a_forecast_of_other_sizes_is_a_fit_with_them(scheme, options):
    base = {"window": options["window"]} if "window" in options else {}
    model = CollapseForecaster(scheme, **base).fit(COUNTS)
    sizes = {"n_synthetic": 6} | ({"n_real": 5} if scheme in ("partial", "fresh") else {})
    other = CollapseForecaster(scheme, **base, **sizes).fit(COUNTS)
    times = [0, 1, 7, 50]
    wanted = other.forecast(generation=times).score
    assert model.forecast(generation=times, **sizes).score == pytest.approx(wanted)


@NO_FORMULA
def test_required_tokens_keep_the_diversity():
    model = CollapseForecaster("window", window=3).fit(COUNTS)
    needed = model.required(0.4, generation=20)
    kept = model.forecast(generation=20, n_synthetic=[needed - 3, needed]).score
    assert needed % 3 == 0 and kept[0] < 0.4 <= kept[1]
    assert model.required(0.9) == np.inf
    real = CollapseForecaster("partial").fit(COUNTS)
    target = 0.97 * real.theoretical_diversity_[0]
    needed = real.required(target, of="n_real", generation=5, n_synthetic=10)
    kept = real.forecast(generation=5, n_real=[needed - 1, needed], n_synthetic=10).score
    assert kept[0] < target <= kept[1]
    for call, message in (
        (lambda: model.required(0.4, of="n_real"), "n_real is not used"),
        (lambda: model.required(0.4, of="tokens"), "of='tokens'"),
        (lambda: model.required(0.4, n_synthetic=3), "asks for"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_regimes():
    assert CollapseForecaster().fit(COUNTS).regime_ == "detected"
    assert CollapseForecaster().fit(np.array([[5]])).regime_ == "undetected"
    assert CollapseForecaster().fit(np.eye(3, dtype=int)).regime_ == "too_few_rows"


def test_half_life_is_where_the_diversity_is_half():
    model = CollapseForecaster().fit(COUNTS)
    low, high = np.floor(model.half_life_), np.ceil(model.half_life_)
    before, after = model.forecast(generation=[low, high]).score / model.theoretical_diversity_[0]
    assert before >= 0.5 >= after
    one = CollapseForecaster(n_synthetic=30).fit(np.array([[5, 3, 2]]))
    assert one.half_life_ == pytest.approx(np.log(2) / -np.log1p(-1 / 30), rel=1e-3)


def test_at_risk_tokens_are_sorted_and_exact():
    model = CollapseForecaster(n_generations=7).fit(COUNTS)
    risks = model.at_risk_tokens_
    assert [r.probability for r in risks] == sorted((r.probability for r in risks), reverse=True)
    first = next(r for r in risks if r.context == (0,) and r.token == 2)
    assert first.count == 1
    expected = 1 - theory.survival_probabilities([4 / 7, 2 / 7, 1 / 7], 7, 7)[2]
    assert first.probability == pytest.approx(expected)
    assert all(r.context not in [(1,), (4,)] for r in risks)


def test_present_attributes():
    model = CollapseForecaster().fit(np.array([[3, 2, 1, 1]]))
    assert model.missing_mass_ == pytest.approx(2 / 7)
    assert model.effective_support_ == pytest.approx(7 * 6 / (3 * 2 + 2 * 1))
    assert model.safe_synthetic_size_ == theory.safe_synthetic_size(7, 0.1)
    assert CollapseForecaster().fit(np.array([[1, 1]])).effective_support_ == np.inf


@pytest.mark.parametrize("counts", [np.array([[5]]), np.array([[1, 0], [0, 1]])])
def test_a_corpus_without_choice_has_collapsed_already(counts):
    model = CollapseForecaster(n_generations=3).fit(counts)
    assert (model.theoretical_diversity_ == 0).all()
    assert (model.collapsed_fraction_ == 1).all()
    assert (model.expected_entropy_ == 0).all()
    assert np.isnan(model.half_life_)
    assert (model.simulate(5, 0).score == 0).all()


def test_one_token_per_generation_collapses_at_once():
    model = CollapseForecaster(n_synthetic=1, n_generations=3).fit(np.array([[5, 5]]))
    assert model.theoretical_diversity_ == pytest.approx([0.5, 0, 0, 0])
    assert model.collapsed_fraction_ == pytest.approx([0, 1, 1, 1])
    assert model.simulate(5, 0, curve="collapsed_fraction").score == pytest.approx([0, 1, 1, 1])


def test_corpus_counts_and_model_are_the_same():
    sequences = [TEXT, TEXT[::-1]]
    model = NextTokenModel().fit(sequences)
    of_corpus = CollapseForecaster().fit(sequences)
    of_model = CollapseForecaster().fit(model)
    of_counts = CollapseForecaster().fit(sparse.csr_matrix(model.counts_))
    of_frame = CollapseForecaster().fit(pd.DataFrame(model.counts_.toarray()).to_numpy())
    of_strings = CollapseForecaster(tokenizer=str.split).fit([" ".join(s) for s in sequences])
    for other in (of_model, of_counts, of_frame, of_strings):
        assert np.array_equal(other.theoretical_diversity_, of_corpus.theoretical_diversity_)
    longer = CollapseForecaster(context_length=2).fit(sequences)
    assert longer.theoretical_diversity_[0] < of_corpus.theoretical_diversity_[0]


def test_score_is_the_r2_of_observed_generations():
    model = CollapseForecaster(n_generations=6).fit(COUNTS)
    rng = np.random.default_rng(0)
    generations = [COUNTS]
    for _ in range(6):
        last = generations[-1]
        generations.append(np.array([rng.multinomial(r.sum(), r / r.sum()) for r in last]))
    share = COUNTS.sum(1) / COUNTS.sum()
    observed = [share @ (1 - ((g / g.sum(1, keepdims=True)) ** 2).sum(1)) for g in generations]
    residual = np.array(observed) - model.theoretical_diversity_
    expected = 1 - (residual**2).sum() / (np.var(observed) * 7)
    assert model.score(generations) == pytest.approx(expected)
    assert model.score(dict(enumerate(generations))) == pytest.approx(expected)
    models = [NextTokenModel().fit(g) for g in generations]
    assert model.score(models) == pytest.approx(expected)


def test_simulation_does_not_depend_on_jobs_and_leaves_the_global_seed():
    model = CollapseForecaster(n_generations=4, random_state=5).fit([TEXT])
    state = np.random.get_state()[1].copy()
    first = model.simulate(700)
    second = clone(model).set_params(n_jobs=2).fit([TEXT]).simulate(700)
    model.simulate(3, random_state=None)
    CollapseForecaster().fit(COUNTS).simulate(3)
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(np.random.get_state()[1], state)
    assert np.array_equal(first.score, pickle.loads(pickle.dumps(model)).simulate(700).score)


def test_verbose_reports_progress(capfd):
    CollapseForecaster(n_generations=2, verbose=1).fit([TEXT]).simulate(500, 0)
    assert "Done" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "half"}, "scheme"),
        ({"scheme": "window"}, "window is needed"),
        ({"scheme": "window", "window": 3, "n_synthetic": 10}, "window must divide"),
        ({"window": 2}, "window is not used"),
        ({"n_real": 5}, "n_real is not used"),
        ({"real_weight": 0.5}, "real_weight is not used"),
        ({"scheme": "partial", "real_weight": 2.0}, "real_weight"),
        ({"n_synthetic": 0}, "n_synthetic"),
        ({"n_synthetic": 2.5}, "n_synthetic"),
        ({"n_synthetic": [1, 2]}, "n_synthetic"),
        ({"n_synthetic": True}, "n_synthetic"),
        ({"scheme": "fresh", "n_real": -1}, "n_real"),
        ({"n_generations": 0}, "n_generations"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        CollapseForecaster(**options).fit(COUNTS)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.array([[1, -1]]), ValueError, "-1"),
        (np.array([[1.5, 2]]), ValueError, "1.5"),
        (np.array([[1, 2], [0, 0]]), ValueError, "context 1"),
        (np.array([[np.nan, 2]]), ValueError, "finite"),
        ([], ValueError, "no sequence"),
        ([[]], ValueError, "no token"),
        (["a b"], TypeError, "tokenizer"),
        ([[["a"], ["b"]]], TypeError, "hashable"),
        (3, TypeError, "sequences"),
    ],
)
def test_bad_corpora_are_refused_and_leave_the_fit(X, error, message):
    model = CollapseForecaster(n_generations=3).fit(COUNTS)
    before = model.theoretical_diversity_
    with pytest.raises(error, match=message):
        model.fit(X)
    assert model.theoretical_diversity_ is before


def test_bad_calls_are_refused():
    model = CollapseForecaster(n_generations=3)
    for call in (
        lambda: model.forecast(generation=1),
        lambda: model.simulate(3),
        lambda: model.score([COUNTS]),
    ):
        with pytest.raises(NotFittedError):
            call()
    model.fit(COUNTS)
    with pytest.raises(ValueError, match="n_chains"):
        model.simulate(1)
    with pytest.raises(ValueError, match="curve"):
        model.simulate(5, curve="variety")
    with pytest.raises(ValueError, match="2 generations"):
        model.score([COUNTS])
    with pytest.raises(ValueError, match="5 contexts"):
        model.score([COUNTS, COUNTS[:2]])
    with pytest.raises(ValueError, match="missing"):
        model.score([COUNTS, NextTokenModel().fit(COUNTS[:2])])
    with pytest.raises(NotFittedError):
        CollapseForecaster().fit(NextTokenModel())


def test_input_is_left_alone():
    counts = COUNTS.copy()
    counts.setflags(write=False)
    CollapseForecaster(n_generations=2).fit(counts).simulate(3, 0)
    assert np.array_equal(counts, COUNTS)


def test_verbose_reports_progress_of_curves(capfd):
    model = CollapseForecaster(n_generations=2, verbose=1).fit([TEXT])
    assert "".join(capfd.readouterr()) == ""
    assert model.expected_support_[1] > 0
    assert "Done" in "".join(capfd.readouterr())


@pytest.mark.parametrize("attribute", ["theoretical_diversity_", "corpus_"])
def test_an_interrupted_fit_leaves_the_old_state(attribute):
    def interrupted(text):
        if text == "stop":
            raise KeyboardInterrupt
        return text.split()

    model = CollapseForecaster(n_generations=2, tokenizer=interrupted).fit(["a b a c"])
    before = dict(vars(model))
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            fit(["a b", "stop"])
        assert vars(model) == before
    assert getattr(model, attribute) is before[attribute]
