"""The command line: ``python -m skrmt demo`` and ``python -m skrmt audit``."""

from __future__ import annotations

import argparse
import os
import sys

from . import _install

DESCRIPTION = "Linear models that know how accurate they are, trained on partly wrong labels."
DEMO = (
    "Add label noise to real data sets of scikit-learn, and compare what skrmt predicts from the "
    "noisy labels with what came true. Takes well under a minute."
)
AUDIT = """\
Audit the labels of a table: estimate how many are wrong and how accurate a linear classifier will
be on clean labels, and list the suspicious rows in order."""
AUDIT_MORE = """
What happens to the columns: numbers are standardised; true/false become 0/1; dates become days;
columns of few distinct texts are one-hot encoded, free texts become tf-idf weights of their words.
Missing values are filled in with the median (numbers) or a category of their own (texts). Columns
that number or name the rows, say nothing, or repeat the target are left out. The output says which.

What is written to the folder: suspicious_rows.csv, with the original columns beside the label
given, the label suggested and the probability that the label is wrong; and report.html or
report.png. Rows are counted from 1, the header not included.

examples:
  python -m skrmt audit people.csv --target income
  python -m skrmt audit mails.parquet --target spam --drop sender --report png
  python -m skrmt audit people.csv --target income --noise-rates 0.05 0.2
"""


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code: 0, or 2 where the user has something to put right, which one line on stderr
        tells.
    """
    parser = make_parser()
    arguments = vars(parser.parse_args(argv))
    command = arguments.pop("command")
    if command is None:
        parser.print_help()
        return 2
    from ._cli._text import CommandError

    try:
        return _run(command, arguments)
    except (CommandError, ImportError) as error:
        print(f"skrmt {command}: error: {error}", file=sys.stderr)
        return 2


def _run(command, arguments):
    """Call the function of a command; what it needs is imported only then."""
    if command == "demo":
        from ._cli._demo import run_demo

        return run_demo(**arguments)
    from ._cli._audit import run_audit

    return run_audit(**arguments)


def make_parser():
    """Make the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
        The parser; it stores the name of the command as `command`.
    """
    parser = argparse.ArgumentParser("python -m skrmt", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"skrmt {_install.version()}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="{demo,audit}")
    _add_demo(commands)
    _add_audit(commands)
    return parser


def _add_demo(commands):
    """Add the arguments of the demonstration."""
    demo = commands.add_parser("demo", help="the main job on real data", description=DEMO)
    demo.add_argument(
        "--output", default="skrmt_demo", metavar="DIR", help="folder of the figure (%(default)s)"
    )
    demo.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="seed of the noise (%(default)s)"
    )
    demo.add_argument(
        "--repeats",
        type=_positive,
        default=1,
        metavar="N",
        help="random splits of each data set (%(default)s); several add a summary of all",
    )


def _add_audit(commands):
    """Add the arguments of the audit."""
    audit = commands.add_parser(
        "audit",
        help="the labels of a table of your own",
        description=AUDIT,
        epilog=AUDIT_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("file", metavar="FILE", help="a CSV file (.csv, .tsv, .csv.gz) or Parquet")
    audit.add_argument("--target", required=True, metavar="COL", help="the column of the labels")
    audit.add_argument(
        "--drop", nargs="+", default=[], metavar="COL", help="columns that are not to be used"
    )
    audit.add_argument(
        "--noise-rates",
        nargs="+",
        type=float,
        default=None,
        metavar="RATE",
        help="known rates of wrong labels, in [0, 1): one, or one for each class in sorted order "
        "(default: estimated)",
    )
    audit.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="list rows whose label is wrong with at least this probability (%(default)s); 0 "
        "lists all",
    )
    audit.add_argument(
        "--report",
        choices=("html", "png", "none"),
        default="html",
        help="a page, a figure only, or neither (%(default)s)",
    )
    audit.add_argument(
        "--output",
        default="skrmt_audit",
        metavar="DIR",
        help="folder of what is written (%(default)s)",
    )
    audit.add_argument(
        "--encoding", default="utf-8-sig", metavar="NAME", help="of a CSV file (%(default)s)"
    )


def _natural(text):
    """Read a whole number that is not negative, within what a seed may be."""
    value = int(text)
    if not 0 <= value < 2**32 - 1000:
        raise argparse.ArgumentTypeError(f"{value} is not a seed: give a number from 0 to 4e9")
    return value


def _positive(text):
    """Read a positive whole number."""
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{value} is not a number from 1 to 1000")
    return value


def _run_from_shell():
    """Run with the terminal's habits: any text can be printed, a closed pipe is no error."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except KeyboardInterrupt:
        code = 130
    return code


if __name__ == "__main__":
    sys.exit(_run_from_shell())
