"""Clustering of samples seen through several noisy views."""

from .. import _install
from ._nested_tensor_clustering import NestedTensorClustering

_install.check()

__all__ = ["NestedTensorClustering"]
