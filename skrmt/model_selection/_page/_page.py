"""A report as a page of HTML, complete or for the cell of a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ._charts import Scale, curve, describe, fit_scale, headline, scatter
from ._pieces import (
    are_shares,
    assemble,
    heat_table,
    mark,
    share_scale,
    two_columns,
    valued_bar,
)
from ._values import (
    MOST_CLASSES,
    count,
    escape,
    interval,
    known,
    metric_name,
    number,
    percent,
    prose,
    short,
)

_REGIMES = {
    "detected": ("ok", "The features show signal."),
    "ambiguous": ("caution", "Right labels of overlapping classes and wrong labels fit equally."),
    "misfit": ("caution", "Theory and held-out rows disagree: the number counts held-out rows."),
    "undetected": ("refused", "The features show no signal."),
    "too_few_rows": ("refused", "Too few rows: nothing is predicted."),
}
_HELD_OUT = {
    "exact": "each in turn, in closed form, exactly",
    "newton": "each in turn, by one Newton step",
    "folds": "by folds of the whole estimator",
}


def report_page(report: dict, *, whole: bool, more: Sequence[tuple[str, str]] = ()) -> str:
    """Return a report as HTML.

    Parameters
    ----------
    report : dict
        From `GeneralizationReport.to_dict`.
    whole : bool
        Whether to return a complete document, or a `style` and a `div` for a notebook.
    more : sequence of (str, str)
        Headings and bodies of further sections.

    Returns
    -------
    str
        At most 300 kB, without scripts or anything that is loaded.
    """
    sections = [_metrics(report), _curve(report), _evidence(report), _noise(report)]
    sections += [_checks(report), *more]
    name = f"{short(report['estimator'], 80)}: predicted {metric_name(report['scoring'])}"
    return assemble(
        name,
        "How well it will do on fresh rows",
        _hero(report),
        [found for found in sections if found],
        _foot(report),
        whole=whole,
    )


def _hero(report: dict) -> str:
    """Return the number with its interval, beside that of a constant guess."""
    score = report["score"]
    noisy = known(report["observed_score"]) and report["observed_score"] != score
    chart = ""
    if known(score):
        chart = headline(report, describe(report, metric_name(report["scoring"])), observed=noisy)
    kind, verdict = _REGIMES[report["regime"]]
    lead = f"{mark(kind)} {verdict} {_lead(report)}"
    observed = (
        f"In grey, on labels as noisy as those given: {number(report['observed_score'])}, "
        f"95 % interval {interval(report['observed_interval'])}."
    )
    return (
        f'<div class="hero"><div><p class="number{"" if known(score) else " words"}">'
        f"{number(score)}</p><p>{_named(report['scoring'])}<br/>"
        f"95 % interval {interval(report['interval'])}</p></div>{chart}</div>"
        f'<p class="lead">{lead}</p>' + (f'<p class="lead">{observed}</p>' if noisy else "")
    )


def _lead(report: dict) -> str:
    """Return what the number means beside a constant guess, and a loss without its sign."""
    score, guess = report["score"], report["baseline"]
    if report["scoring"].startswith("neg_") and known(score):
        low, high = report["interval"]
        name = escape(metric_name(report["scoring"]))
        of_guess = f"; of a constant guess: {number(-guess)}" if known(guess) else ""
        return f"{name}, without the sign: {number(-score)} ({interval([-high, -low])}){of_guess}."
    if not known(guess):
        return ""
    if not known(score):
        return f"A constant guess reaches {number(guess)}."
    side = "above" if score >= guess else "below"
    return f"The number is {number(abs(score - guess))} {side} that of a constant guess."


def _named(scoring: str) -> str:
    """Return a metric's name, and scikit-learn's, which may break at its underscores."""
    name = escape(metric_name(scoring))
    code = escape(scoring).replace("_", "_<wbr/>")
    return f"<b>{name}</b>" + f" <code>{code}</code>" * (name.lower() != scoring)


def _metrics(report: dict) -> tuple[str, str] | None:
    """Return the other metrics, with bars of their intervals."""
    others = {name: row for name, row in report["scores"].items() if name != report["scoring"]}
    if not others:
        return None
    shares = [value for row in others.values() if are_shares(row) for value in row]
    scale = share_scale(shares)
    table = two_columns(_metric_row(name, row, scale) for name, row in others.items())
    ends = f" Bars are from {scale.low:g} to 1 unless their ends are given."
    ends *= any(known(value) for value in shares)
    return "Other metrics", (
        f'<p class="note">With 95 % intervals; higher is better for each.{ends}</p>{table}'
    )


def _metric_row(scoring: str, row: Sequence[float], scale: Scale) -> tuple[str, str]:
    """Return a metric as a row of the table; what is not in [0, 1] has a scale of its own."""
    ends = ""
    if not are_shares(row):
        scale = fit_scale([*row, 0.0], 0.0 if scoring.startswith("neg_") else 1.0)
        words = f"<span>{number(scale.low)}</span><span>{number(scale.high)}</span>"
        ends = f'<div class="ends value">{words}</div>'
    score, low, high = row
    return _named(scoring), valued_bar(metric_name(scoring), score, (low, high), scale) + ends


def _curve(report: dict) -> tuple[str, str]:
    """Return what more rows bring, or why it is not known."""
    title, found = "What more rows bring", report["forecast"]
    if found is None or sum(known(score) for score in found["score"]) < 2:
        note = report["forecast_note"] or "The score at other numbers of rows is not predicted."
        return title, f'<p class="note">{prose(note)}</p>'
    name = metric_name(report["scoring"])
    name += f" ({report['scoring']})" * report["scoring"].startswith("neg_")
    sizes, scores = found["n_samples"], found["score"]
    last = f"With {count(sizes[-1], 'row')}: {number(scores[-1])}"
    last += f" ({interval([found['lower'][-1], found['upper'][-1]])})."
    words = f"Predicted {name} along the number of training rows. {last}"
    note = f"The same estimator, trained on other numbers of rows. {last} The band is 95 %."
    note += f" {prose(report['forecast_note'])}" if report["forecast_note"] else ""
    return title, f'<p class="note">{note}</p>{curve(report, words, escape(name))}'


def _evidence(report: dict) -> tuple[str, str] | None:
    """Return held-out predictions: the confusion of classes, or a scatter of targets."""
    if report["confusion"] is not None:
        note = (
            "Of the held-out rows of each class (a line of the table), the percentage predicted as "
            "each class (a column)."
        )
        return "Which classes are confused", heat_table(report, note)
    points = report["points"] or []
    if not any(known(*point) for point in points):
        return None
    note = (
        f"{count(len(points), 'row')} of {report['n_samples']:,}, each predicted by a fit that has "
        "not seen it. On the dashed line a prediction is right."
    )
    drawn = scatter(points, "Held-out predictions against targets")
    return "Predictions and targets", f'<p class="note">{note}</p>{drawn}'


def _noise(report: dict) -> tuple[str, str] | None:
    """Return what is known of wrong labels, and what cleaning them would bring."""
    noise = report["noise"]
    if noise is None:
        return None
    nothing = (math.nan, math.nan)
    given = report["observed_interval"] if report["scoring"] == "accuracy" else nothing
    lines = [
        ("On labels as given", noise["observed"], given),
        ("On clean labels", noise["clean"], noise["clean_interval"]),
        ("On clean labels, if trained on clean labels", noise["retrained"], nothing),
    ]
    scale = share_scale(value for _, score, ends in lines for value in (score, *ends))
    table = two_columns((name, valued_bar(name, score, ends, scale)) for name, score, ends in lines)
    return "What cleaning the labels would bring", (
        f'<p class="note">{_gain(noise)} Accuracies, with bars from {scale.low:g} to 1:</p>{table}'
        f'<p class="note">{_stories(noise)}</p>{_rates(report)}'
    )


def _gain(noise: dict) -> str:
    """Return the difference that clean training labels make, in a sentence."""
    if not known(noise["retrained"], noise["clean"]):
        return "What training on clean labels would bring is not known."
    gain = noise["retrained"] - noise["clean"]
    if gain < 0.0005:
        return "Training on clean labels would bring next to nothing."
    return f"Training on clean labels would add {number(gain)} to the accuracy on clean labels."


def _stories(noise: dict) -> str:
    """Return both explanations of the labels, and how probable they are."""
    wrong = (
        f"the {percent(1.0 - noise['observed'])} that disagree"
        if known(noise["observed"])
        else "those that disagree"
    )
    return (
        f"If every label is right, the accuracy is {number(noise['if_clean'])}; if {wrong} are "
        f"mistakes, {number(noise['if_noisy'])}. Probability that labels are wrong: "
        f"{percent(noise['probability'])}."
    )


def _rates(report: dict) -> str:
    """Return the rates of wrong labels, of the classes where they are highest."""
    rates = report["noise"]["rates"]
    names = report["classes"] or [str(k) for k in range(len(rates))]
    order = sorted(range(len(rates)), key=lambda k: -rates[k] if known(rates[k]) else 1.0)
    words = [f"{escape(names[k], 40)} {percent(rates[k])}" for k in order[:MOST_CLASSES]]
    others = f"; {len(rates) - MOST_CLASSES:,} more classes" * (len(rates) > MOST_CLASSES)
    return f'<p class="note">Wrong labels per true class: {", ".join(words)}{others}.</p>'


def _checks(report: dict) -> tuple[str, str]:
    """Return one line per check, with its status and what to do."""
    checks = report["checks"]
    items = "".join(
        f"<li>{mark(check['status'])}<span><b>{escape(check['name'])}</b><br/>"
        f"{prose(check['text'])}</span></li>"
        for check in checks
    )
    passed = sum(check["status"] == "ok" for check in checks)
    note = f"{passed} of {count(len(checks), 'check')} passed." if checks else "No checks were run."
    return "Can you believe this?", f'<p class="note">{note}</p><ul class="checks">{items}</ul>'


def _foot(report: dict) -> str:
    """Return what the report rests on, and its summary as text."""
    rows = f"{report['n_samples']:,}"
    effective = report["n_effective_samples"]
    if known(effective) and round(effective) != report["n_samples"]:
        rows += f", worth {effective:,.0f} independent ones"
    held_out = f"{_HELD_OUT[report['scores_kind']]}; {count(report['n_fits'], 'fit')}"
    entries = [
        ("Rows", rows),
        ("Features", f"{report['n_features']:,}"),
        ("Rows are held out", held_out),
    ]
    if report["classes"] is not None:
        entries.insert(2, ("Classes", f"{len(report['classes']):,}"))
    terms = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)
    estimator = f"<code>{escape(report['estimator'])}</code>"
    kind = escape(report["kind"]).capitalize()
    return (
        f'<dl class="foot"><div class="long"><dt>{kind}</dt><dd>{estimator}</dd></div>{terms}</dl>'
        f"<details><summary>As text</summary><p>{prose(report['summary'])}</p></details>"
    )
