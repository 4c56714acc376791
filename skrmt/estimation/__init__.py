"""Unknowns from data: noise rates, class laws, signal strength and accuracy."""

from .. import _install
from ._accuracy import AccuracyEstimate, combine_accuracies
from ._class_mixture import (
    ClassMixture,
    fit_class_mixture,
    inverse_temperature,
    learn_class_mixture,
    symmetric_noise,
)
from ._clusters import (
    Stability,
    TiedMixture,
    UnitMixture,
    bimodal_direction,
    calibrated_accuracy,
    fit_tied_mixture,
    fit_unit_mixture,
    half_sample_stability,
    kurtosis,
)
from ._goodness import mixture_fit_test, normality_test
from ._label_evidence import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    sample_likelihood,
)
from ._label_link import LabelLink, fit_label_link
from ._loo_accuracy import (
    LooAccuracy,
    accuracy_influence,
    loo_accuracy,
    loo_criterion,
    score_margins,
    score_temperature,
)
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
from ._signal import AMPEstimate, SignalEstimate, amp_em, u_statistics
from ._synthetic_labels import (
    ClassGeometry,
    FlipRate,
    class_geometry,
    flip_rate,
    generator_shift,
    leak_pvalue,
    separation_ratio,
)
from ._tensor_noise import NoiseCheck, check_tensor_noise, degrees_of_freedom
from ._tensor_rank import JointComponents, SearchOptions, joint_components, largest_rank
from ._unmixing import UnmixedAccuracy, unmixed_accuracy
from ._views import CoreSpectrum, ViewFactor, core_spectrum, fit_view_factor

_install.check()

__all__ = [
    "Stability",
    "TiedMixture",
    "UnitMixture",
    "bimodal_direction",
    "calibrated_accuracy",
    "fit_tied_mixture",
    "fit_unit_mixture",
    "half_sample_stability",
    "kurtosis",
    "CoreSpectrum",
    "ViewFactor",
    "core_spectrum",
    "fit_view_factor",
    "JointComponents",
    "NoiseCheck",
    "SearchOptions",
    "check_tensor_noise",
    "degrees_of_freedom",
    "joint_components",
    "largest_rank",
    "AMPEstimate",
    "AccuracyEstimate",
    "ClassGeometry",
    "ClassMixture",
    "FlipRate",
    "LabelLink",
    "LooAccuracy",
    "NoisePosterior",
    "ScoreMixture",
    "ScoreSample",
    "SignalEstimate",
    "UnmixedAccuracy",
    "accuracy_influence",
    "amp_em",
    "class_geometry",
    "class_posterior",
    "combine_accuracies",
    "estimate_prior",
    "fit_class_mixture",
    "fit_label_link",
    "fit_score_mixture",
    "flip_rate",
    "generator_shift",
    "inverse_temperature",
    "label_likelihood",
    "label_log_odds",
    "leak_pvalue",
    "learn_class_mixture",
    "loo_accuracy",
    "loo_criterion",
    "mixture_fit_test",
    "noise_posterior",
    "normality_test",
    "prior_from_rates",
    "rates_likelihood",
    "sample_likelihood",
    "score_margins",
    "score_sample",
    "score_temperature",
    "separation_ratio",
    "symmetric_noise",
    "u_statistics",
    "unmixed_accuracy",
    "update_posterior",
]
