"""Text for the terminal: tables, paragraphs, numbers."""

from __future__ import annotations

import math
import textwrap

WIDTH = 92


class CommandError(ValueError):
    """What the user has to put right; the command shows it as one line and ends with code 2."""


def table(header, rows, *, left=1, indent=2):
    """Lay out a table in columns.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; a line break inside a name puts it on several lines.
    rows : sequence of sequence of str
        Cells.
    left : int or collection of int, default=1
        The columns aligned on the left, or how many of the first are; the others are aligned on
        the right.
    indent : int, default=2
        Spaces before each line.

    Returns
    -------
    str
        Lines, without a final line break.

    Examples
    --------
    >>> from skrmt._cli._text import table
    >>> print(table(["set", "right"], [["digits", "97%"]], indent=0))
    set     right
    ------  -----
    digits    97%
    """
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


def one_line(value, longest=60):
    r"""Write a value on one line, cut where it is long.

    Parameters
    ----------
    value : object
        What to write.
    longest : int, default=60
        Largest number of characters.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> from skrmt._cli._text import one_line
    >>> one_line("a\nb")
    'a b'
    """
    text = " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


def paragraph(text, *, indent=0, bullet=""):
    """Wrap a text to the width of the terminal output.

    Parameters
    ----------
    text : str
        One paragraph.
    indent : int, default=0
        Spaces before each line.
    bullet : str, default=""
        What stands before the first line; the others are indented as far.

    Returns
    -------
    str
        Lines, without a final line break.
    """
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
    """Write a fraction as a percentage.

    Parameters
    ----------
    fraction : float
        The fraction.
    digits : int, default=1
        Digits after the point.

    Returns
    -------
    str
        The percentage, or "unknown" for nan.

    Examples
    --------
    >>> from skrmt._cli._text import percent
    >>> percent(0.975)
    '97.5%'
    """
    return "unknown" if math.isnan(fraction) else f"{100 * fraction:.{digits}f}%"


def span(interval):
    """Write an interval of fractions in percent.

    Parameters
    ----------
    interval : pair of float
        Its ends.

    Returns
    -------
    str
        The interval, with its sign.

    Examples
    --------
    >>> from skrmt._cli._text import span
    >>> span((0.9, 1.0))
    '90.0 to 100.0%'
    """
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return "unknown"
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def count(number, noun, plural=None):
    """Write a number of things.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        One of them.
    plural : str, optional
        Several of them, where it is not the noun with an "s".

    Returns
    -------
    str
        The number, thousands apart, with the noun.

    Examples
    --------
    >>> from skrmt._cli._text import count
    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1 200 rows')
    """
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{grouped(number)} {name}"


def likelihood(probability):
    """Write a probability of being wrong, of which only the order matters near 1.

    Parameters
    ----------
    probability : float
        The probability.

    Returns
    -------
    str
        The percentage.

    Examples
    --------
    >>> from skrmt._cli._text import likelihood
    >>> likelihood(0.5), likelihood(0.99999)
    ('50.0%', '> 99.9%')
    """
    return "> 99.9%" if probability > 0.999 else percent(probability)


def grouped(number):
    """Write a whole number with its thousands apart.

    Parameters
    ----------
    number : int
        The number.

    Returns
    -------
    str
        Its digits.
    """
    return f"{number:,}".replace(",", " ")


def listed(names, most=6):
    """Write some names, and how many more there are.

    Parameters
    ----------
    names : sequence
        Names.
    most : int, default=6
        How many to write.

    Returns
    -------
    str
        The names, with commas.

    Examples
    --------
    >>> from skrmt._cli._text import listed
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = [one_line(name, 40) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return ", ".join(shown)
