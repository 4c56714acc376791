"""The audit of a table: a room above the subjects, which it puts to use.

Its names are public as `skrmt.audit` and `skrmt.model_selection.audit`, imported on first use.
"""

from ._audit import Audit, audit

__all__ = ["Audit", "audit"]
