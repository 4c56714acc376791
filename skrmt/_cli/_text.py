"""Text for the terminal: tables, paragraphs, numbers."""

from __future__ import annotations

import math
import textwrap

from ..utils._wording import one_line

WIDTH = 92


class CommandError(ValueError):
    """What the user has to put right; the command shows it as one line and ends with code 2."""


def table(header, rows, *, left=1, indent=2):
    """Lay out a table in columns."""
    left = range(left) if isinstance(left, int) else left
    names = [name.split("\n") for name in header]
    height = max(len(lines) for lines in names)
    heads = list(zip(*[[""] * (height - len(lines)) + lines for lines in names], strict=True))
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*heads, *cells, strict=True)]
    lines = [*heads, ["-" * width for width in widths], *cells]
    return "\n".join(
        " " * indent
        + "  ".join(
            cell.ljust(width) if j in left else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def paragraph(text, *, indent=0, bullet=""):
    """Wrap a text to the width of the terminal output."""
    first = " " * indent + bullet
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def percent(fraction, digits=1):
    """Write a fraction as a percentage."""
    return "unknown" if math.isnan(fraction) else f"{100 * fraction:.{digits}f}%"


def span(interval):
    """Write an interval of fractions in percent."""
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def likelihood(probability):
    """Write a probability of being wrong, of which only the order matters near 1."""
    return "over 99%" if probability >= 0.99 else percent(probability, 0)
