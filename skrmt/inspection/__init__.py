"""Displays that draw what estimators and theory say about accuracy.

They need Matplotlib: `pip install "skrmt[plot]"`.
"""

from .. import _install
from ._accuracy_path import AccuracyPathDisplay
from ._noise_sensitivity import NoiseSensitivityDisplay
from ._score_distribution import ScoreDistributionDisplay

_install.check()

__all__ = ["AccuracyPathDisplay", "NoiseSensitivityDisplay", "ScoreDistributionDisplay"]
