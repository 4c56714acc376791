"""What noisy scores show of clean labels: rates, class laws, label links and unmixed counts."""

from ._accuracy import AccuracyEstimate, combine_accuracies
from ._class_mixture import (
    ClassMixture,
    fit_class_mixture,
    inverse_temperature,
    learn_class_mixture,
    symmetric_noise,
)
from ._goodness import mixture_fit_test, normality_test
from ._label_evidence import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    sample_likelihood,
)
from ._label_link import LabelLink, fit_label_link
from ._noise_rates import (
    NoisePosterior,
    noise_posterior,
    prior_from_rates,
    rates_likelihood,
    update_posterior,
)
from ._score_mixture import (
    ScoreMixture,
    ScoreSample,
    fit_score_mixture,
    label_log_odds,
    score_sample,
)
from ._unmixing import UnmixedAccuracy, unmixed_accuracy

__all__ = [
    "AccuracyEstimate",
    "ClassMixture",
    "LabelLink",
    "NoisePosterior",
    "ScoreMixture",
    "ScoreSample",
    "UnmixedAccuracy",
    "class_posterior",
    "combine_accuracies",
    "estimate_prior",
    "fit_class_mixture",
    "fit_label_link",
    "fit_score_mixture",
    "inverse_temperature",
    "label_likelihood",
    "label_log_odds",
    "learn_class_mixture",
    "mixture_fit_test",
    "noise_posterior",
    "normality_test",
    "prior_from_rates",
    "rates_likelihood",
    "sample_likelihood",
    "score_sample",
    "symmetric_noise",
    "unmixed_accuracy",
    "update_posterior",
]
