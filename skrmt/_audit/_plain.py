"""Tables in plain types."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain_frame(frame) -> list[dict[str, Any]]:
    """Return a pandas table as a list of rows, its index included where it has a name or words."""
    named = frame.index.name is not None or frame.index.dtype == object
    rows = frame.reset_index() if named else frame
    return [
        {str(name): _plain(value) for name, value in zip(rows.columns, row, strict=True)}
        for row in rows.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it, None in place of nan."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)
