"""What noisy scores show of clean labels: stories of the noise, label links and unmixed counts."""

from ._clean_accuracy import (
    CleanAccuracy,
    clean_accuracy,
    find_clean_accuracy,
    observed_accuracy,
)
from ._detection import is_detected
from ._goodness import mixture_fit_test, normality_test
from ._label_evidence import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    sample_likelihood,
    symmetric_noise,
)
from ._noisy_labels import (
    NoisyLabels,
    frequencies_contradict,
    labels_of_no_fit,
    noise_matrix,
    read_labels,
    rows_of,
)
from ._stories import FEWEST_ROWS, tell_stories
from ._ties import without_rounding
from ._unmixing import unmixed_accuracy

__all__ = [
    "FEWEST_ROWS",
    "CleanAccuracy",
    "NoisyLabels",
    "class_posterior",
    "clean_accuracy",
    "estimate_prior",
    "find_clean_accuracy",
    "frequencies_contradict",
    "is_detected",
    "label_likelihood",
    "labels_of_no_fit",
    "mixture_fit_test",
    "noise_matrix",
    "normality_test",
    "observed_accuracy",
    "read_labels",
    "rows_of",
    "sample_likelihood",
    "symmetric_noise",
    "tell_stories",
    "unmixed_accuracy",
    "without_rounding",
]
