"""A pandas table as people and spreadsheets write it, turned into features and labels."""

from ._columns import understand
from ._features import Features, make_features
from ._labels import Labels, read_labels

__all__ = ["Features", "Labels", "make_features", "read_labels", "understand"]
