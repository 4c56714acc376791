"""The command that draws a phase diagram."""

from __future__ import annotations

from pathlib import Path

_DESCRIPTION = (
    "Over two parameters of a subject, draw what theory predicts, and with --simulate beside it "
    "what a Monte Carlo of every cell finds."
)
SUBJECTS = (
    "noisy-labels",
    "synthetic-mix",
    "collapse",
    "tensor-deflation",
    "multi-view",
    "encoder-matching",
    "preference",
    "self-play",
    "staged-sgd",
)


def add_arguments(parser):
    """Add the arguments of the command.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The parser of the command.
    """
    parser.description = _DESCRIPTION
    parser.add_argument("subject", choices=SUBJECTS, metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument(
        "--output",
        default="skrmt_phase_diagram",
        metavar="DIR",
        help="folder of the figure (%(default)s)",
    )
    parser.add_argument("--simulate", action="store_true", help="simulate every cell too")
    parser.add_argument(
        "--draws", type=int, default=20, metavar="N", help="draws of every cell (%(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=60, metavar="N", help="features, or length of an axis (60)"
    )
    parser.add_argument(
        "--grid", type=int, default=12, metavar="N", help="cells a side (%(default)s)"
    )
    parser.add_argument(
        "--device",
        default=None,
        metavar="NAME",
        help="torch device, such as cuda",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed (%(default)s)")


def run_phase_diagram(subject, output, simulate, draws, size, grid, device, seed):
    """Draw a phase diagram, print it as a table, and save the figure.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.
    output : str
        Folder of the figure.
    simulate : bool
        Whether to simulate every cell.
    draws, size, grid : int
        Draws of a cell, size of a problem, cells a side.
    device : str or None
        Torch device.
    seed : int
        Seed.

    Returns
    -------
    int
        0.

    Raises
    ------
    CommandError
        If a number is out of its domain, or the figure cannot be written.
    """
    import numpy as np

    from ..inspection import PhaseDiagramDisplay
    from ._text import CommandError

    if grid < 2:
        raise CommandError(f"--grid {grid} is too small: give 2 cells a side, or more.")
    if seed < 0:
        raise CommandError(f"--seed {seed} is negative: give 0 or more.")
    try:
        axes = PhaseDiagramDisplay.ranges(subject)
        grids = {name: np.linspace(*ends, grid) for name, ends in zip("xy", axes, strict=True)}
        if simulate:
            print(f"Simulating {grid * grid} cells of {draws} draws each ...", flush=True)
            display = PhaseDiagramDisplay.from_simulation(
                subject, **grids, size=size, n_draws=draws, device=device, random_state=seed
            )
        else:
            display = PhaseDiagramDisplay.from_theory(subject, **grids, size=size)
    except (ValueError, MemoryError) as error:
        raise CommandError(str(error)) from error
    _print_table(display)
    path = Path(output) / f"{subject}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        display.figure_.savefig(path, dpi=150)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
    print(f"\nFigure: {path}")
    return 0


def _print_table(display, n_columns=6):
    """Print some rows and columns of the map, and how far simulation is from theory."""
    import numpy as np

    columns = np.unique(np.linspace(0, len(display.x) - 1, n_columns).astype(int))
    rows = np.unique(np.linspace(0, len(display.y) - 1, n_columns).astype(int))[::-1]
    across, down = (axis.get_xlabel() for axis in display.axes_[:1]), display.axes_[0].get_ylabel()
    print(f"{display.subjects()[display.subject]}: {display.quantity}")
    print(f"Columns: {next(across)}. Rows: {down}.\n")
    print(" " * 9 + "".join(f"{display.x[c]:9.3g}" for c in columns))
    for r in rows:
        print(f"{display.y[r]:9.3g}" + "".join(f"{display.theory[r][c]:9.3f}" for c in columns))
    if display.simulated is not None:
        gap = np.abs(np.asarray(display.simulated) - np.asarray(display.theory))
        print(
            f"\nSimulation and theory differ by {np.median(gap):.3g} in the median cell and by "
            f"{gap.max():.3g} at the most,"
            "\nclose to thresholds, which finite sizes smooth."
        )
