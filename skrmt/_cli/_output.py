"""Where the commands write, and how: never over a file, through a link or a formula."""

from __future__ import annotations

import io
import re
import secrets
from pathlib import Path

from ..utils._optional import import_optional
from ._text import CommandError

_UNSEEN = r"[\s\x00-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]*"
_FORMULA = re.compile(
    r"[\t\r\n]|" + _UNSEEN + r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
)
"""How a cell starts that a spreadsheet may run, in the wide and small characters of East Asia too,
and behind characters that are not seen, which a reader may drop, such as a byte order mark."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def output_folder(path, force=False):
    """Make a folder for what a command writes."""
    folder = Path(path)
    if folder.is_symlink() and not force:
        raise CommandError(
            f"the folder {str(folder)!r} is a link: name another with --output, or follow it with "
            "--force."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"cannot write to the folder {str(folder)!r} ({reason}): name another with --output."
        ) from error
    return folder


def check_free(paths, force=False):
    """Refuse to begin work of which the result could not be written."""
    for path in map(Path, paths):
        if (path.exists() or path.is_symlink()) and not force:
            raise _taken(path)
        if path.exists() and not path.is_file():
            raise CommandError(f"cannot write {str(path)!r}: it is there, and not a file.")


def _taken(path):
    """Return the error of a path that is not free."""
    what = "is a link" if path.is_symlink() else "exists"
    return CommandError(
        f"{str(path)!r} {what}: --force writes in its place, or name another folder with --output."
    )


def write_file(path, content, force=False):
    """Write bytes to a new file; where it is forced, put it in the place of what is there."""
    check_free([path], force)
    # A link is replaced, not followed, and an interrupted command leaves no half of a file.
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if force else path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(target, content)
        if force:
            _replace(target, path)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.parent.is_dir():
            raise _taken(path) from error
        raise CommandError(f"cannot write {str(path)!r} ({error.strerror}).") from error


def _write_new(path, content):
    """Write a file that is not there, whole or not at all."""
    with open(path, "xb") as file:
        try:
            file.write(content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _replace(source, path):
    """Put a file in the place of another, or remove it."""
    try:
        source.replace(path)
    except BaseException:
        source.unlink(missing_ok=True)
        raise


def write_figure(path, figure, dpi, force=False):
    """Write a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    write_file(path, buffer.getvalue(), force)


def write_csv(path, frame, force=False):
    """Write a table of which no spreadsheet runs a cell or a header as a formula."""
    types = import_optional("pandas", "cli").api.types
    safe = frame.copy(deep=False)
    for k, dtype in enumerate(frame.dtypes):
        if not (types.is_numeric_dtype(dtype) or types.is_bool_dtype(dtype)):
            safe.isetitem(k, frame.iloc[:, k].astype(object).map(harmless))
    safe.columns = [harmless(name) for name in frame.columns]
    # A lone carriage return ends a row to some readers: with this end of lines it is quoted.
    text = safe.to_csv(index=False, lineterminator="\r\n")
    write_file(path, text.encode("utf-8"), force)


def harmless(value):
    """Return a cell as it is, or as a text behind an apostrophe if it starts like a formula."""
    if isinstance(value, (int, float)):
        return value
    text = str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return value
