"""The report of an audit: one page that needs no other file, or its figure alone."""

from __future__ import annotations

import base64
import io
from html import escape

from .. import _install
from ..utils._wording import count, one_line
from ._audit_figure import audit_figure
from ._audit_text import accuracy_sentences, noise_cells
from ._fitting import BRIEFLY
from ._output import write_file
from ._synthetic import synthetic_advice, synthetic_rows
from ._text import likelihood, percent, span

ROWS_SHOWN, COLUMNS_SHOWN = 100, 8


def write_report(audit, path, kind, force=False):
    """Write the report of an audit; return whether it was, and why there is no figure."""
    figure, missing = _figure(audit)
    if kind == "png" and figure is None:
        return False, missing
    write_file(path, figure if kind == "png" else report_html(audit, figure).encode(), force)
    return True, missing


def _figure(audit):
    """Return the figure, or None and why there is none."""
    try:
        return _png(audit), None
    except ImportError as error:
        return None, f"No figure was drawn. {error}"


def _png(audit):
    """Return the figure as the bytes of a PNG file."""
    figure, buffer = audit_figure(audit), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def report_html(audit, figure=None):
    """Write the page."""
    title = f"Label audit of {audit.name}"
    listed = f"<code>{escape(audit.target)}</code>: {count(len(audit.labels), 'row')}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">Labels in the column {listed} with a label, '
        f"{count(audit.features.X.shape[1], 'feature')}.</p>",
        _cards(audit),
        _image(figure),
        "<h2>How accurate can a linear classifier be on correct labels?</h2>",
        *(f"<p>{escape(sentence)}</p>" for sentence in accuracy_sentences(audit)),
        "<h2>How many labels are wrong?</h2>",
        _html_table(*noise_cells(audit), left=1),
        "<h2>Which rows look mislabelled?</h2>",
        _rows(audit),
        *_synthetic(audit),
        "<h2>What became of the columns</h2>",
        _list([*audit.features.used, *audit.notes]),
        f"<footer>Written by skrmt {escape(_install.version())}. The numbers are estimates from "
        "the table alone; the leave-one-out scores they rest on assume that different rows are "
        "independent.</footer>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    content = "\n".join(body)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{content}\n</body></html>\n'
    )


def _synthetic(audit):
    """Return the part on synthetic rows, empty where there are none."""
    if audit.synthetic is None:
        return []
    return [
        "<h2>What are the synthetic rows worth?</h2>",
        _html_table(["", audit.synthetic.name], synthetic_rows(audit.synthetic), left=1),
        _list(synthetic_advice(audit.synthetic)),
    ]


def _cards(audit):
    """Return the four numbers to read first."""
    model = audit.model
    regime, _, consequence = BRIEFLY[model.regime_].partition(": ")
    interval = span(model.theoretical_accuracy_interval_)
    cards = [
        ("wrong labels", percent(audit.wrong_share), "of all rows, estimated"),
        ("accuracy to expect", percent(model.theoretical_accuracy_), f"95% interval {interval}"),
        (
            "suspicious rows",
            str(len(audit.suspicious)),
            f"at {percent(audit.threshold, 0)} or more",
        ),
        ("regime", regime, consequence or "for these data"),
    ]
    if model.regime_ == "undetected":
        cards[0] = ("wrong labels", "unknown", "the columns say too little")
    elif model.noise_rates != "estimate":
        cards[0] = ("wrong labels", percent(audit.wrong_share), "of all rows, as given")
    filled = [
        f'<div class="card"><div class="name">{name}</div><div class="value">{escape(value)}</div>'
        f'<div class="more">{escape(more)}</div></div>'
        for name, value, more in cards
    ]
    return f'<div class="cards">{"".join(filled)}</div>'


def _image(figure):
    """Return the figure inside the page."""
    if figure is None:
        return ""
    data = base64.b64encode(figure).decode()
    return (
        f'<img alt="Scores, effort of checking and prospects" src="data:image/png;base64,{data}">'
    )


def _rows(audit):
    """Return the table of suspicious rows."""
    found = audit.suspicious
    if len(found) == 0:
        return f"<p>None, at a probability of {percent(audit.threshold, 0)} or more.</p>"
    names = [name for name in found.columns[4:] if name != audit.target][:COLUMNS_SHOWN]
    shown = found[:ROWS_SHOWN]
    rows = [
        [
            str(first[0]),
            one_line(first[1], 40),
            one_line(first[2], 40),
            likelihood(first[3]),
            *("" if value != value or value is None else one_line(value, 120) for value in rest),
        ]
        for first, rest in zip(
            shown.iloc[:, :4].itertuples(index=False),
            shown[names].astype(object).itertuples(index=False),
            strict=True,
        )
    ]
    header = ["row", "label given", "label suggested", "probability wrong", *names]
    text = "Row 1 is the first below the header. The whole list is in suspicious_rows.csv."
    if len(found) > ROWS_SHOWN:
        text = f"The first {ROWS_SHOWN} of {len(found)}. {text}"
    return f'<p>{text}</p><div class="wide">{_html_table(header, rows, left=len(header))}</div>'


def _html_table(header, rows, *, left):
    """Return a table whose first columns are aligned on the left."""

    def line(cells, tag):
        marked = [
            f"<{tag}{'' if k < left else ' class=number'}>{escape(cell)}</{tag}>"
            for k, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(marked)}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>\n{body}\n</tbody></table>"


def _list(items):
    """Return a list."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


_STYLE = """
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #222; margin: 0 auto;
  max-width: 1080px; padding: 2rem 1.5rem 3rem; background: #fff; }
h1 { font-size: 1.7rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.sub { color: #666; margin: .2rem 0 1.4rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem;
  margin-bottom: 1.6rem; }
.card { border: 1px solid #e2e2e2; border-top: 3px solid #0072b2; border-radius: 6px;
  padding: .8rem 1rem; }
.name { color: #666; font-size: .85rem; }
.value { font-size: 1.6rem; font-weight: 650; line-height: 1.3; }
.more { color: #666; font-size: .85rem; }
img { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th { text-align: left; border-bottom: 2px solid #ccc; white-space: nowrap; }
th, td { padding: .35rem .9rem .35rem 0; vertical-align: top; }
td { border-bottom: 1px solid #eee; max-width: 26rem; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
footer { color: #777; font-size: .85rem; margin-top: 2.5rem; border-top: 1px solid #e2e2e2;
  padding-top: .8rem; }
"""
