"""Where the commands write."""

from __future__ import annotations

from pathlib import Path

from ._text import CommandError


def output_folder(path):
    """Make a folder for what a command writes."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"cannot write to the folder {str(folder)!r} ({reason}): name another with --output."
        ) from error
    return folder
