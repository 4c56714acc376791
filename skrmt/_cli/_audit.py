"""The audit of a table in a file: read, printed and written."""

from __future__ import annotations

from pathlib import Path

from ..model_selection import audit
from ..utils._optional import import_optional
from ..utils._wording import count, one_line
from ._audit_text import audit_text
from ._output import check_free, output_folder, write_csv, write_figure, write_file
from ._progress import working
from ._table import UTF8, check_columns, read_table
from ._text import CommandError

LIST = "disagreements.csv"
"""The file of the rows that the model disagrees with."""


def run_audit(
    file,
    target,
    *,
    output="skrmt_audit",
    drop=(),
    noise_rates=None,
    threshold=None,
    report="html",
    html=None,
    synthetic=None,
    encoding=UTF8,
    literal_labels=False,
    force=False,
):
    """Audit a table, print what was found and write the rows to look at."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise CommandError(f"--threshold {threshold:g} must be a probability, from 0 to 1.")
    literal = target if literal_labels else None
    with working(f"reading {Path(file).name}"):
        table = read_table(file, encoding, literal)
    check_columns(table, [target, *drop])
    made = None
    if synthetic is not None:
        made = read_table(synthetic, encoding, literal)
        check_columns(made, [target])
    listed, page = _paths(output, report, html)
    check_free([listed] if page is None else [listed, page], force)
    found = _audited(table, target, file, drop, noise_rates, threshold, made, synthetic)
    output_folder(output, force)
    write_csv(listed, found.rows.reset_index(), force)
    paths, missing = [listed], None
    if page is not None:
        with working("drawing the page"):
            missing = _write_page(found, page, report if html is None else "html", force)
        paths += [] if missing else [page]
    print(audit_text(found, paths, missing))
    return 0


def _audited(table, target, file, drop, noise_rates, threshold, made, synthetic):
    """Audit a table whose rows are counted from 1."""
    pandas = import_optional("pandas", "cli")
    name = "row" if "row" not in table.columns else "skrmt_row"
    table.index = pandas.RangeIndex(1, len(table) + 1, name=name)
    if noise_rates is not None:
        noise_rates = noise_rates[0] if len(noise_rates) == 1 else list(noise_rates)
    try:
        with working(f"auditing {count(len(table), 'row')}"):
            return audit(
                table,
                target,
                drop=drop,
                noise_rates="estimate" if noise_rates is None else noise_rates,
                threshold=threshold,
                synthetic=made,
                name=Path(file).name,
            )
    except (ValueError, TypeError) as error:
        text = one_line(error, 300)
        if synthetic is not None:
            text = text.replace("synthetic ", f"{Path(synthetic).name} ", 1)
        raise CommandError(text) from error


def _paths(output, report, html):
    """Return where the list of rows and the page are written, None for no page."""
    folder = Path(output)
    page = None if report == "none" else folder / f"report.{report}"
    return folder / LIST, page if html is None else Path(html)


def _write_page(found, path, kind, force):
    """Write the page or the figure; return why there is none, "" where there is one."""
    if kind == "html":
        write_file(path, found.to_html().encode(), force)
        return ""
    try:
        figure = found.plot()
    except ImportError as error:
        return f"No figure was drawn. {error}"
    write_figure(path, figure, 150, force)
    return ""
