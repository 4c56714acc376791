"""Preference optimisation: losses as plain functions, and policies fitted by them."""

from .. import _install
from ._frontier import SafetyUtilityFrontier
from ._language_model import response_logps, sample_responses
from ._trainer import SelfPlayTrainer, TrainingLog
from .losses._listwise import listwise_loss
from .losses._losses import preference_gradient, preference_loss
from .losses._spin import spin_loss
from .policy._preference_policy import PreferencePolicy
from .self_play._self_play_policy import SelfPlayPolicy

_install.check()

__all__ = [
    "PreferencePolicy",
    "SafetyUtilityFrontier",
    "SelfPlayPolicy",
    "SelfPlayTrainer",
    "TrainingLog",
    "listwise_loss",
    "preference_gradient",
    "preference_loss",
    "response_logps",
    "sample_responses",
    "spin_loss",
]
