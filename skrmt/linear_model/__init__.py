"""Linear classifiers that know their accuracy."""

from .. import _install
from ._mix_fit import SourceQuality
from ._mix_plan import MixPlan, MixReport
from ._noise_aware import LabelIssues, NoiseAwareLinearClassifier
from ._synthetic_mix import SyntheticMixClassifier

_install.check()

__all__ = [
    "LabelIssues",
    "MixPlan",
    "MixReport",
    "NoiseAwareLinearClassifier",
    "SourceQuality",
    "SyntheticMixClassifier",
]
