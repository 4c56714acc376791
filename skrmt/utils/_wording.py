"""Numbers of things and lists of names in words, for messages and printed results."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(value: object, longest: int = 60) -> str:
    """Write a value on one line, cut where it is long, without codes that move the cursor."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))
    return text if len(text) <= longest else text[: longest - 3] + "..."


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number of things."""
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{grouped(number)} {name}"


def grouped(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def listed(names: Sequence[object], most: int = 6) -> str:
    """Write some names, and how many more there are."""
    shown = [one_line(name, 40) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return ", ".join(shown)
