"""Charts of the report page, as SVG.

Horizontal positions are percentages, so that a chart is as wide as its place while its text keeps
its size; curves are in an inner viewport that is stretched. Colours are variables of the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ._values import escape, interval, known, number

_PAD = 0.15
"""Room on either side of what is drawn, as a share of its extent."""
_EDGE = 0.25
"""Share of the width within which a label is anchored at its end, so that it is not cut."""

_POINTS = 200
"""Points of a long curve, of which more cannot be seen."""
_ROOM = 7.0
"""Percent of the width that the label of a tick needs beside the line of the constant guess."""


class Scale(NamedTuple):
    """A range of values, and positions in it as percentages."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the position of a value, in percent."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)

    def ticks(self, n: int = 5) -> list[tuple[float, str]]:
        """Return round values in the range, and their labels."""
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high, n)


def ticks(low: float, high: float, n: int) -> list[tuple[float, str]]:
    """Return about n multiples of 1, 2 or 5 times a power of ten, and their labels."""
    rough = (high - low) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = [f"{k * step:,.{digits}f}".replace("-", "−") for k in range(first, last + 1)]
    return [(k * step, label) for k, label in zip(range(first, last + 1), labels, strict=True)]


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return powers of ten in a range, and their doubles and halves if there are few."""
    factors = (1, 2, 5) if high < 200 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in factors]
    return [(value, _rows(value)) for value in values if low <= value <= high]


def _rows(value: float) -> str:
    """Write a round number of rows in little room."""
    size, unit = next(
        ((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= s), (1, "")
    )
    return f"{value / size:g}{unit}"


def fit_scale(values: Iterable[float | None], top: float = 1.0) -> Scale:
    """Return a scale that holds all known values, within the bounds 0 and `top` if they are."""
    held = [value for value in values if value is not None and known(value)] or [0.0, 1.0]
    low, high = min(held), max(held)
    pad = _PAD * (high - low) or 0.1 * abs(high) or 0.1
    floor = 0.0 if low >= 0 else -math.inf
    return Scale(max(low - pad, floor), min(high + pad, top if high <= top else math.inf))


def svg(parts: Iterable[str], title: str, kind: str) -> str:
    """Return a chart; its height is that of its kind in the style sheet."""
    name = escape(title)
    inside = "".join(parts)
    return f'<svg class="{kind}" role="img" aria-label="{name}"><title>{name}</title>{inside}</svg>'


def _line(x1: float, y1: str, x2: float, y2: str, kind: str) -> str:
    """Return a line between positions in percent."""
    return f'<line class="{kind}" x1="{x1}%" y1="{y1}" x2="{x2}%" y2="{y2}"/>'


def _text(x: float, y: str, words: str, kind: str = "", *, anchor: str = "", dx: int = 0) -> str:
    """Return a label, anchored such that it stays in the chart."""
    anchor = anchor or (
        "start" if x < 100 * _EDGE else "end" if x > 100 * (1 - _EDGE) else "middle"
    )
    shift = f' dx="{dx}"' if dx else ""
    return f'<text class="{kind}" x="{x}%" y="{y}"{shift} text-anchor="{anchor}">{words}</text>'


def _dot(x: float, y: str, kind: str = "dot", radius: int = 5) -> str:
    """Return a point."""
    return f'<circle class="{kind}" cx="{x}%" cy="{y}" r="{radius}"/>'


def _span(low: float, high: float, y: int, height: int, kind: str) -> str:
    """Return an interval as a bar between positions in percent."""
    size = f'width="{round(max(high - low, 0.4), 2)}%" height="{height}" rx="{height / 2:g}"'
    return f'<rect class="{kind}" x="{low}%" y="{y - height // 2}" {size}/>'


def _stretched(paths: Iterable[str]) -> str:
    """Return paths in units of one percent of the chart."""
    frame = 'viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%"'
    return f"<svg {frame}>{''.join(paths)}</svg>"


def _path(points: Iterable[tuple[float, float]], kind: str, close: str = "") -> str:
    """Return a line through points in percent."""
    steps = "L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path class="{kind}" vector-effect="non-scaling-stroke" d="M{steps}{close}"/>'


def headline(report: dict, title: str, *, observed: bool) -> str:
    """Draw the score with its interval, above that of a constant guess, on one axis."""
    score, ends, guess = report["score"], report["interval"], report["baseline"]
    others = [*report["observed_interval"], report["observed_score"]] if observed else []
    top = 0.0 if report["scoring"].startswith("neg_") else 1.0
    scale = fit_scale([score, *ends, guess, *others], top)
    at = scale.at(score)
    parts = [_line(0, "64", 100, "64", "axis")]
    for value, label in scale.ticks():
        x = scale.at(value)
        parts.append(_line(x, "64", x, "70", "axis"))
        if not known(guess) or abs(x - scale.at(guess)) > _ROOM:
            parts.append(_text(x, "86", label, "tick", anchor="middle"))
    if known(guess):
        x = scale.at(guess)
        parts += [_line(x, "28", x, "106", "guess"), _line(x, "40", at, "40", "gain")]
        parts += [_text(x, "122", f"constant guess {number(guess)}", "name")]
    if observed and known(*others):
        low, high, middle = (scale.at(value) for value in others)
        parts += [_span(low, high, 56, 6, "other"), _dot(middle, "56", "other", 4)]
    if known(*ends):
        parts.append(_span(scale.at(ends[0]), scale.at(ends[1]), 40, 16, "band"))
    parts += [_dot(at, "40", radius=7), _text(at, "20", f"predicted {number(score)}", "strong")]
    return svg(parts, title, "headline")


def bar(score: float, ends: Sequence[float], scale: Scale, title: str) -> str:
    """Draw a score with its interval in a cell of a table."""
    parts, at = [_line(0, "8", 100, "8", "track")], scale.at(score)
    if known(*ends):
        parts.append(_span(scale.at(ends[0]), scale.at(ends[1]), 8, 10, "band"))
    parts.append(_line(at, "1", at, "15", "tick-mark"))
    return svg(parts, f"{title}: {number(score)}, {interval(ends)}", "bar")


def _frame(across: Scale, up: Scale, names: tuple[str, str]) -> list[str]:
    """Return a light grid with labelled ticks, and the names of both axes."""
    parts = []
    for value, label in up.ticks():
        y = f"{round(100 - up.at(value), 2)}%"
        parts += [_line(0, y, 100, y, "grid")]
        parts += [
            f'<text class="tick" x="0" y="{y}" dx="-8" dy="4" text-anchor="end">{label}</text>'
        ]
    for value, label in across.ticks():
        x = across.at(value)
        parts += [
            f'<text class="tick" x="{x}%" y="100%" dy="19" text-anchor="middle">{label}</text>'
        ]
    parts += [f'<text class="name" x="100%" y="100%" dy="38" text-anchor="end">{names[0]}</text>']
    parts += [f'<text class="name" x="0" y="0" dx="-8" dy="-14">{names[1]}</text>']
    return [*parts, _line(0, "100%", 100, "100%", "axis")]


def curve(report: dict, title: str, name: str) -> str:
    """Draw the forecast with its band along the number of rows, and the present score."""
    found, ends, score = report["forecast"], report["interval"], report["score"]
    at, now = report["n_effective_samples"], [score, *ends]
    rows = [row for row in zip(*_columns(found), strict=True) if known(*row[:2])]
    sizes = [row[0] for row in rows]
    across = Scale(min(sizes), max(max(sizes), 1.01 * min(sizes)), log=True)
    top = 0.0 if report["scoring"].startswith("neg_") else 1.0
    up = fit_scale([value for row in rows for value in row[1:]] + now, top)
    banded = [row for row in rows if known(*row)]
    lower = [(across.at(n), 100 - up.at(low)) for n, _, low, _ in banded]
    upper = [(across.at(n), 100 - up.at(high)) for n, _, _, high in banded]
    paths = [_path([*lower, *upper[::-1]], "band", "Z")] if banded else []
    paths.append(_path([(across.at(n), 100 - up.at(s)) for n, s, _, _ in rows], "curve"))
    parts = [*_frame(across, up, ("training rows", name)), _stretched(paths)]
    if known(score) and across.low <= at <= across.high:
        parts += _present(across.at(at), [100 - up.at(value) for value in now if known(value)])
    return svg(parts, title, "plot")


def _columns(found: dict) -> list[Sequence[float]]:
    """Return the columns of a forecast."""
    return [found[key] for key in ("n_samples", "score", "lower", "upper")]


def _present(x: float, heights: list[float]) -> list[str]:
    """Return the present score with its interval, labelled below, where a rising curve is not."""
    y = f"{heights[0]:.2f}%"
    bottom = max(heights)
    side, dx = ("start", 6) if x < 50 else ("end", -6)
    label = (
        f'<text class="strong" x="{x}%" y="{bottom:.2f}%" dx="{dx}" dy="18" text-anchor="{side}">'
    )
    bar = _line(x, f"{min(heights):.2f}%", x, f"{bottom:.2f}%", "whisker")
    return [bar, _dot(x, y, radius=6), f"{label}rows at hand</text>"]


def scatter(points: Sequence[Sequence[float]], title: str) -> str:
    """Draw held-out predictions against targets, with the diagonal."""
    held = [(x, y) for x, y in points if known(x, y)]
    scale = fit_scale([value for point in held for value in point], math.inf)
    dots = (_dot(scale.at(x), f"{100 - scale.at(y):.2f}%", "row", 3) for x, y in held)
    frame = _frame(scale, scale, ("target", "held-out prediction"))
    return svg([*frame, _line(0, "100%", 100, "0", "diagonal"), *dots], title, "plot square")


def effort(found: Sequence[float], title: str) -> str:
    """Draw how much is found after each row that is checked, and on average over all orders."""
    across, up = Scale(0.0, float(len(found))), Scale(0.0, max(1.05 * found[-1], 1e-9))
    step = -(-len(found) // _POINTS)
    kept = [0, *range(1, len(found), step), len(found)]
    points = [(across.at(k), 100 - up.at(([0.0, *found])[k])) for k in kept]
    frame = _frame(across, up, ("rows checked", "wrong labels found"))
    straight = _line(0, "100%", 100, f"{points[-1][1]}%", "diagonal")
    return svg([*frame, straight, _stretched([_path(points, "curve")])], title, "plot")


def two_curves(
    sizes: Sequence[float], scores: Sequence[Sequence[float]], title: str, name: str
) -> str:
    """Draw scores along the number of rows, the second curve dashed."""
    across = Scale(min(sizes), max(sizes), log=True)
    up = fit_scale([value for curve in scores for value in curve])
    kinds = ("curve", "curve second")
    paths = [
        _path([(across.at(n), 100 - up.at(s)) for n, s in zip(sizes, one, strict=True)], kind)
        for one, kind in zip(scores, kinds, strict=True)
    ]
    return svg([*_frame(across, up, ("training rows", name)), _stretched(paths)], title, "plot")


def describe(report: dict, name: str) -> str:
    """Return the headline chart in words."""
    words = f"{name} {number(report['score'])}, 95 % interval {interval(report['interval'])}"
    return f"{words}; constant guess {number(report['baseline'])}"
