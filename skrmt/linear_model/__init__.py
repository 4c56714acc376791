"""Linear classifiers that know their accuracy."""

from .. import _install
from ._noise_aware import LabelIssues, NoiseAwareLinearClassifier

_install.check()

__all__ = ["LabelIssues", "NoiseAwareLinearClassifier"]
