"""Pieces that pages of HTML are made of: sections, tables, marks, bars, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ._charts import Scale, bar
from ._style import NAME, style_sheet
from ._values import MOST_CLASSES, confusion, escape, interval, known, number, percent, shorter

_MARKS = {"ok": ("✓", "OK"), "caution": ("!", "Caution"), "refused": ("✕", "Refused")}
_FLAT = 40
"""Characters of all names of columns together that fit side by side on a phone."""
_FEW = 4
"""Classes up to which cells are large."""
_MANY = 10
"""Classes above which the matrix has the whole width."""
_HEAT = 0.5
"""Opacity of a cell of 100 %: digits on it keep a contrast of 4.5 in both themes."""


def assemble(
    name: str,
    title: str,
    hero: str,
    sections: Iterable[tuple[str, str]],
    foot: str,
    *,
    whole: bool,
) -> str:
    """Return a complete document called `name`, or a `style` and a `div` for a notebook."""
    top = 1 if whole else 3
    grid = "\n".join(section(head, body, top + 1) for head, body in sections)
    style = f"<style>\n{style_sheet(whole=whole)}</style>"
    page = (
        f'<div class="{NAME}">\n<h{top} class="title">{title}</h{top}>\n{hero}\n'
        f'<div class="sections">\n{grid}\n</div>\n{foot}\n</div>'
    )
    if not whole:
        return f"{style}\n{page}\n"
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{escape(name)}</title>\n"
    )
    return f"{head}{style}\n</head>\n<body>\n<main>\n{page}\n</main>\n</body>\n</html>\n"


def section(head: str, body: str, level: int) -> str:
    """Return a section with its heading."""
    return f'<section class="section"><h{level} class="head">{head}</h{level}>{body}</section>'


def mark(status: str) -> str:
    """Return a status as a sign and a word."""
    sign, word = _MARKS[status]
    return (
        f'<span class="mark {status}"><span class="sign" aria-hidden="true">{sign}</span>'
        f"{word}</span>"
    )


def two_columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns."""
    cells = "".join(f'<tr><th scope="row">{name}</th><td>{cell}</td></tr>' for name, cell in rows)
    return f"<table><tbody>{cells}</tbody></table>"


def share_scale(values: Iterable[float]) -> Scale:
    """Return a scale from a tenth below all known values to 1."""
    low = min((value for value in values if known(value)), default=0.0)
    return Scale(math.floor(9.99 * max(low, 0.0)) / 10, 1.0)


def are_shares(row: Iterable[float]) -> bool:
    """Return whether all known values are between 0 and 1."""
    return all(0 <= value <= 1 for value in row if known(value))


def valued_bar(
    name: str, score: float, ends: Sequence[float], scale: Scale, words: Sequence[str] = ()
) -> str:
    """Return a score and its interval, as a bar and in figures, or in the words given."""
    value, between = words or (number(score), interval(ends))
    between = f"<span>{between}</span>" if known(*ends) else ""
    drawn = bar(score, ends, scale, name) if known(score) else ""
    return f'<div class="value"><b>{value}</b>{between}</div>{drawn}'


def heat_table(report: dict, note: str) -> str:
    """Return the confusion matrix as a table of shares of rows of each class, in percent."""
    found = confusion(report)
    names = [escape(shorter(name)) for name in found.names]
    full = [escape(name, 200) for name in found.names]
    left_out = ""
    if found.n_left_out:
        left_out = (
            f" The {MOST_CLASSES} most frequent classes are shown; the other "
            f"{found.n_left_out:,}, with {percent(found.share_left_out)} of the rows, are left out."
        )
    heads = [*zip(names, full, strict=True), *[("others", "others")] * (found.n_left_out > 0)]
    columns = "".join(
        f'<th scope="col" title="{whole}"><span>{name}</span></th>' for name, whole in heads
    )
    rows = "".join(
        f'<tr><th scope="row" title="{full[k]}">{names[k]}</th>{_heat_cells(row, k)}</tr>'
        for k, row in enumerate(found.shares)
    )
    flat = sum(len(name) + 2 for name in found.names) <= _FLAT
    size = " few" if len(names) <= _FEW else " many" if len(names) > _MANY else ""
    kind = "heat" + " tall" * (not flat) + size
    return (
        f'<p class="note">{note}{left_out}</p>'
        '<div class="scroll" role="region" aria-label="Confusion matrix" tabindex="0">'
        f'<table class="{kind}"><thead><tr><td class="corner"></td>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _heat_cells(row: Sequence[float], right: int) -> str:
    """Return the cells of one class."""
    if not known(*row):
        return f'<td class="empty" colspan="{len(row)}">no rows of this class</td>'
    cells = []
    for k, share in enumerate(row):
        kind = ' class="right"' if k == right else ""
        opacity = f"{_HEAT * min(max(share, 0.0), 1.0):.2f}"
        cells.append(f'<td{kind} style="--share:{opacity}">{100 * share:.0f}</td>')
    return "".join(cells)


def data_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int, long: bool = False
) -> str:
    """Return a table of texts, the first columns aligned on the left, that scrolls if too wide."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (
            f"<{tag}{'' if k < left else ' class=figure'}>{escape(cell)}</{tag}>"
            for k, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        '<div class="scroll" role="region" aria-label="Table" tabindex="0">'
        f'<table class="data{" long" * long}"><thead>{line(header, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def returned_or_written(page: str, path: Any) -> str | None:
    """Return a page, or write it to a path if there is one."""
    if path is None:
        return page
    Path(path).write_text(page, encoding="utf-8")
    return None
