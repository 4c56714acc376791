"""Types of arguments that several public signatures share."""

from typing import Any, TypeAlias

# NumPy arrays and lists, SciPy's sparse matrices, data frames, torch tensors and Dask arrays: most
# of them come from packages that are optional or have no types, so that no union can name them all.
DataLike: TypeAlias = Any
