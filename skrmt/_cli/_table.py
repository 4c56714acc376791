"""A table read from a file."""

from __future__ import annotations

import difflib
import warnings
from pathlib import Path

import numpy as np

from ..utils._optional import import_optional
from ..utils._wording import listed, one_line
from ._text import CommandError

PARQUET = {".parquet", ".pq"}
FOREIGN = {".xlsx", ".xls", ".ods", ".json", ".jsonl", ".feather", ".arrow", ".h5", ".dta"}
SEPARATORS = (",", ";", "\t", "|")
UTF8 = "utf-8-sig"
MISSING = ["", "NA", "N/A", "n/a", "<NA>", "nan", "NaN", "NULL", "null", "None", "#N/A", "#NA"]
"""What stands for a missing value in other columns where the target is read literally."""


def read_table(path, encoding=UTF8, literal=None):
    """Read a table; in the column `literal`, NA and the like are texts of a CSV file."""
    import_optional("pandas", "cli")
    path = Path(path)
    if not path.exists():
        raise CommandError(f"there is no file {str(path)!r}{_neighbour(path)}.")
    if path.is_dir():
        raise CommandError(f"{str(path)!r} is a folder: name a CSV or Parquet file in it.")
    if path.suffix.lower() in FOREIGN:
        raise CommandError(
            f"{path.name!r} is neither CSV nor Parquet: save the table as one of these."
        )
    parquet = path.suffix.lower() in PARQUET
    try:
        frame = _read_parquet(path) if parquet else _read_csv(path, encoding, literal)
    except (UnicodeDecodeError, LookupError) as error:
        raise CommandError(
            f"{path.name!r} is not text in the encoding {encoding!r}: name the right one with "
            "--encoding, 'cp1252' for many files of spreadsheets, 'utf-16' for their Unicode text."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error, 200).rstrip(".")
        kind = "Parquet" if parquet else "CSV"
        raise CommandError(f"{path.name!r} cannot be read as {kind}: {reason}.") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise CommandError(f"two columns are called {repeated[0]!r}: rename one of them.")
    if frame.empty:
        raise CommandError(f"{path.name!r} has no rows.")
    return frame


def _neighbour(path):
    """Name the file of the same folder with the most similar name."""
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {str(path.with_name(close[0]))!r}?)" if close else ""


def _read_parquet(path):
    """Read a Parquet file; a named index becomes columns."""
    import_optional("pyarrow", "cli")
    frame = import_optional("pandas", "cli").read_parquet(path)
    return frame.reset_index() if any(frame.index.names) else frame.reset_index(drop=True)


def _read_csv(path, encoding, literal):
    """Read a CSV file with the separator that gives its header most columns."""
    read = import_optional("pandas", "cli").read_csv
    with warnings.catch_warnings():
        # pandas reads rows with one separator too many at their end well, and warns at length.
        warnings.simplefilter("ignore")
        options = {"encoding": _encoding(path, encoding), "index_col": False}
        headers = [read(path, sep=mark, nrows=0, **options).columns for mark in SEPARATORS]
        k = int(np.argmax([len(header) for header in headers]))
        if literal is not None:
            others = [name for name in headers[k] if str(name).strip() != literal]
            options |= {"keep_default_na": False, "na_values": dict.fromkeys(others, MISSING)}
        # Where the semicolon separates columns, the comma is a decimal point.
        decimal = "," if SEPARATORS[k] == ";" else "."
        return read(path, sep=SEPARATORS[k], decimal=decimal, low_memory=False, **options)


def _encoding(path, encoding):
    """Return the encoding of a file: UTF-16, of Windows, where its first bytes say so."""
    with path.open("rb") as file:
        head = file.read(400)
    if encoding != UTF8:
        return encoding
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = np.frombuffer(head, np.uint8) == 0
    # Of text in UTF-16, and of no other, nearly every second byte is zero.
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 1 and zeros[start::2].mean() > 0.8 and zeros[1 - start :: 2].mean() < 0.2:
            return name
    return encoding


def check_columns(frame, names):
    """Refuse names of columns that a table does not have."""
    columns = list(frame.columns)
    for name in names:
        if name in columns:
            continue
        lower = {column.lower(): column for column in reversed(columns)}
        close = difflib.get_close_matches(name.lower().strip(), list(lower), n=3, cutoff=0.5)
        first = [lower[match] for match in close]
        ordered = first + [column for column in columns if column not in first]
        raise CommandError(
            f"there is no column {name!r}: the columns are {listed(ordered, most=12)}."
        )
