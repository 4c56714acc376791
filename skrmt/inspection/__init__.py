"""Displays that draw what estimators and theory say about accuracy.

They need Matplotlib: `pip install "skrmt[plot]"`.
"""

from .. import _install
from ._accuracy_path import AccuracyPathDisplay
from ._label_noise_transition import LabelNoiseTransitionDisplay, VerifierFrontierDisplay
from ._noise_sensitivity import NoiseSensitivityDisplay
from ._score_distribution import ScoreDistributionDisplay
from ._synthetic_value import SyntheticValueDisplay

_install.check()

__all__ = [
    "AccuracyPathDisplay",
    "LabelNoiseTransitionDisplay",
    "NoiseSensitivityDisplay",
    "ScoreDistributionDisplay",
    "SyntheticValueDisplay",
    "VerifierFrontierDisplay",
]
