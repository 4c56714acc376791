"""A pandas table as people and spreadsheets write it, turned into features and labels."""

from ._columns import understand
from ._features import Features, make_features
from ._labels import Labels, is_regression, read_labels, read_numbers

__all__ = [
    "Features",
    "Labels",
    "is_regression",
    "make_features",
    "read_labels",
    "read_numbers",
    "understand",
]
