"""Linear classifiers that know their accuracy."""

from .. import _install
from ..theory.sgd import Stage
from .noise_aware._classifier import NoiseAwareLinearClassifier
from .noise_aware._label_issues import LabelIssues
from .staged_sgd._estimators import StagedSGDClassifier, StagedSGDRegressor
from .synthetic_mix._classifier import SyntheticMixClassifier
from .synthetic_mix._plan import MixReport
from .synthetic_mix._quality import SourceQuality

_install.check()

__all__ = [
    "LabelIssues",
    "MixReport",
    "NoiseAwareLinearClassifier",
    "SourceQuality",
    "Stage",
    "StagedSGDClassifier",
    "StagedSGDRegressor",
    "SyntheticMixClassifier",
]
