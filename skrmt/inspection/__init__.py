"""Displays that draw what estimators and theory say about accuracy.

They need Matplotlib: `pip install "skrmt[plot]"`.
"""

from .. import _install
from ._accuracy_path import AccuracyPathDisplay
from ._collapse import CollapseForecastDisplay, TokenSurvivalDisplay
from ._label_noise_transition import LabelNoiseTransitionDisplay, VerifierFrontierDisplay
from ._matching import CKAMatrixDisplay, KnownPairsDisplay, ScoreMatrixDisplay
from ._noise_sensitivity import NoiseSensitivityDisplay
from ._phase_diagram import PhaseDiagramDisplay
from ._preference import (
    PreferenceLossDisplay,
    SafetyUtilityDisplay,
    SelfPlayConvergenceDisplay,
)
from ._safe_amount import SafeAmountDisplay
from ._score_distribution import ScoreDistributionDisplay
from ._sgd import NoiseFloorDisplay, StagedLossDisplay
from ._synthetic_value import SyntheticValueDisplay
from ._tensor import FactorAlignmentDisplay, TensorScreeDisplay
from ._views import ClusteringAccuracyDisplay, UnfoldingSpectrumDisplay, ViewWeightsDisplay

_install.check()

__all__ = [
    "AccuracyPathDisplay",
    "CKAMatrixDisplay",
    "ClusteringAccuracyDisplay",
    "CollapseForecastDisplay",
    "FactorAlignmentDisplay",
    "LabelNoiseTransitionDisplay",
    "NoiseFloorDisplay",
    "NoiseSensitivityDisplay",
    "PhaseDiagramDisplay",
    "SafeAmountDisplay",
    "PreferenceLossDisplay",
    "SafetyUtilityDisplay",
    "ScoreDistributionDisplay",
    "SelfPlayConvergenceDisplay",
    "ScoreMatrixDisplay",
    "KnownPairsDisplay",
    "StagedLossDisplay",
    "SyntheticValueDisplay",
    "TensorScreeDisplay",
    "TokenSurvivalDisplay",
    "UnfoldingSpectrumDisplay",
    "VerifierFrontierDisplay",
    "ViewWeightsDisplay",
]
