"""Linear classifiers that know their accuracy."""

from .. import _install
from ..theory.sgd import Stage
from ._mix_plan import MixPlan, MixReport
from ._mix_quality import SourceQuality
from ._noise_aware import LabelIssues, NoiseAwareLinearClassifier
from ._staged_sgd import StagedSGDClassifier, StagedSGDRegressor
from ._synthetic_mix import SyntheticMixClassifier

_install.check()

__all__ = [
    "LabelIssues",
    "MixPlan",
    "MixReport",
    "NoiseAwareLinearClassifier",
    "SourceQuality",
    "Stage",
    "StagedSGDClassifier",
    "StagedSGDRegressor",
    "SyntheticMixClassifier",
]
