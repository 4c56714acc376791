"""The command line: ``python -m skrmt`` with `demo`, `audit` or `phase-diagram`."""

from __future__ import annotations

import argparse
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from . import _install

DESCRIPTION = "Estimators that predict their own accuracy before they see a test set."
MORE = """
examples:
  python -m skrmt demo                                   predicted and actual accuracy
  python -m skrmt audit FILE.csv --target COLUMN         the labels of a table of your own
  python -m skrmt phase-diagram multi-view --simulate    where signal begins
Each command has a --help of its own."""
SUBJECTS = {
    "noisy-labels": "classifiers trained on wrong labels, on real data (the default)",
    "synthetic-mix": "a few real digits and many synthetic ones",
    "collapse": "models trained on the output of models",
    "tensor-deflation": "components of a noisy cube",
    "multi-view": "clusters seen through several noisy views",
    "encoder-matching": "two embedding spaces of the same items",
    "preference": "policies that learn from comparisons",
    "self-play": "policies that play against themselves",
    "staged-sgd": "the loss curve of SGD in stages",
    "generalization-report": "scikit-learn's own estimators",
    "all": "one after another",
}
DEMO = (
    "Are predictions right? Each subject runs a small job, on data that come with Python and "
    "scikit-learn or are drawn, and prints what skrmt predicts beside what is measured. "
    "Takes some seconds; a figure is drawn where Matplotlib is installed."
)
DEMO_MORE = (
    "subjects:\n"
    + "\n".join(f"  {name:<18}{text}" for name, text in SUBJECTS.items())
    + """

examples:
  python -m skrmt demo
  python -m skrmt demo multi-view --seed 3
  python -m skrmt demo all --output figures"""
)
AUDIT = """\
How accurate can a linear classifier of this table be, are labels wrong, and which rows look so?
Reads a CSV or Parquet file; prints the accuracy to expect if every label is right and if some are
mistakes, beside that of a constant guess, and the rows that the model disagrees with. With
--synthetic, also shows what a file of synthetic rows is worth beside the real ones. A target of
numbers gets a report on ridge regression. In Python: skrmt.audit(df, target=...)."""
AUDIT_MORE = """
What happens to the columns: numbers are standardised, also as $1,234.56, 12.3%, 50.1 kg or
1.234,56; yes/no become 1/0; dates become days; columns of few distinct texts are one-hot encoded,
free texts become tf-idf weights of their words. Missing values are filled in with the median
(numbers) or a category of their own (texts). Columns that number or name the rows, say nothing, or
give the target away are left out. The output says which.

What is written to the folder: disagreements.csv, the rows that the model disagrees with, the most
suspicious first, with the label given, the label suggested and the probability that the label is
wrong before the columns of the table; and report.html or report.png. Rows are counted from 1, the
header not included. Cells that a spreadsheet could run as formulas get an apostrophe in front.
Files that are there, and links, are left alone without --force.

examples:
  python -m skrmt audit people.csv --target income
  python -m skrmt audit mails.parquet --target spam --drop sender --report png
  python -m skrmt audit people.csv --target income --noise-rates 0.05 0.2
  python -m skrmt audit people.csv --target income --synthetic made.csv --html report.html
"""


def main(argv=None):
    """Run a command."""
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
        return _run_demo(**arguments)
    if command == "phase-diagram":
        from ._cli._phase_diagram import run_phase_diagram

        return run_phase_diagram(**arguments)
    from ._cli._audit import run_audit

    return run_audit(**arguments)


def _run_demo(subject, output, seed, repeats, force):
    """Run the demonstration of one subject, or of all."""
    if subject == "noisy-labels":
        from ._cli._demo import run_demo

        return run_demo(output, seed=seed, repeats=repeats, force=force)
    from ._cli._demo_subjects import run_subject

    if subject != "all":
        return run_subject(subject, output, seed, force)
    from ._cli._output import check_free

    figures = ["demo" if name == "noisy-labels" else name for name in SUBJECTS]
    check_free([Path(output, f"{name}.png") for name in figures], force)
    for name in SUBJECTS:
        if name != "all":
            _run_demo(name, output, seed, repeats, force)
            print()
    return 0


def make_parser():
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        "python -m skrmt",
        description=DESCRIPTION,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"skrmt {_install.version()}")
    commands = parser.add_subparsers(
        dest="command", title="commands", metavar="{demo,audit,phase-diagram}"
    )
    _add_demo(commands)
    _add_audit(commands)
    _add_phase_diagram(commands)
    return parser


def _add_demo(commands):
    """Add the arguments of the demonstration."""
    demo = commands.add_parser(
        "demo",
        help="what is predicted, and what is measured",
        description=DEMO,
        epilog=DEMO_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "subject",
        nargs="?",
        default="noisy-labels",
        choices=list(SUBJECTS),
        metavar="SUBJECT",
        help="one of those below (%(default)s)",
    )
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
        help="random splits of each data set of noisy-labels (%(default)s); several add a summary",
    )
    demo.add_argument("--force", action="store_true", help="replace a figure that is there")


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
        default=None,
        metavar="P",
        help="list the rows whose label is wrong with at least this probability; 0 lists all "
        "(default: the rows that the model disagrees with)",
    )
    audit.add_argument("--synthetic", metavar="FILE", help="synthetic rows, with the same columns")
    audit.add_argument(
        "--html", metavar="OUT", help="where to write the page, rather than into the folder"
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
    audit.add_argument("--force", action="store_true", help="replace files that are there")
    audit.add_argument(
        "--encoding", default="utf-8-sig", metavar="NAME", help="of a CSV file (%(default)s)"
    )
    audit.add_argument(
        "--literal-labels",
        action="store_true",
        help="NA, None, null and the like in the target of a CSV file are classes, not missing",
    )


def _add_phase_diagram(commands):
    """Add the arguments of the phase diagram."""
    from ._cli._phase_diagram import add_arguments

    add_arguments(
        commands.add_parser(
            "phase-diagram",
            help="where signal begins, in theory and by simulation",
        )
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
        if isinstance(stream, TextIOWrapper):
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
