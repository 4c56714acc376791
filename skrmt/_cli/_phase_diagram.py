"""The command that draws a phase diagram."""

from __future__ import annotations

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
    """Add the arguments of the command."""
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
    parser.add_argument("--force", action="store_true", help="replace a figure that is there")


def run_phase_diagram(subject, output, simulate, draws, size, grid, device, seed, force=False):
    """Draw a phase diagram, print it as a table, and save the figure."""
    from ._output import check_free, output_folder, write_figure
    from ._text import CommandError

    if grid < 2:
        raise CommandError(f"--grid {grid} is too small: give 2 cells a side, or more.")
    if seed < 0:
        raise CommandError(f"--seed {seed} is negative: give 0 or more.")
    path = output_folder(output, force) / f"{subject}.png"
    check_free([path], force)
    options = {"n_draws": draws, "device": device, "random_state": seed, "verbose": 1}
    if simulate:
        print(f"Simulating {grid * grid} cells of {draws} draws each ...", flush=True)
    try:
        display = _draw(subject, grid, size, options if simulate else None)
    except (ValueError, MemoryError) as error:
        raise CommandError(str(error)) from error
    _print_maps(display)
    write_figure(path, display.figure_, 150, force)
    print(f"\nFigure: {path}")
    return 0


def _draw(subject, grid, size, options):
    """Return the display of theory alone, or with simulation where it has options."""
    import numpy as np

    from ..inspection import PhaseDiagramDisplay
    from ._figure import new_figure

    ends = PhaseDiagramDisplay.ranges(subject)
    x, y = (np.linspace(low, high, grid) for low, high in ends)
    n_panels = 1 if options is None else 2
    panels = new_figure(1.0 + 4.6 * n_panels, 4.2).subplots(1, n_panels)
    if options is None:
        return PhaseDiagramDisplay.from_theory(subject, x=x, y=y, size=size, ax=panels)
    return PhaseDiagramDisplay.from_simulation(subject, x=x, y=y, size=size, ax=panels, **options)


def _print_maps(display):
    """Print what theory predicts, and how far simulation is from it."""
    import numpy as np

    across, down = display.axes_[0].get_xlabel(), display.axes_[0].get_ylabel()
    print(f"{display.subjects()[display.subject]}")
    print(f"Columns: {across}. Rows: {down}.")
    print(f"\n{display.quantity}, predicted")
    _print_table(display, np.asarray(display.theory), "9.3f")
    if display.simulated is None:
        return
    gap = np.asarray(display.simulated) - np.asarray(display.theory)
    error = np.asarray(display.standard_error)
    varied = error > 1e-9
    print("\nSimulated less predicted, in standard errors")
    _print_table(display, np.where(varied, gap / np.where(varied, error, 1.0), np.nan), "9.1f")
    print(
        f"\nThe median cell is {np.median(np.abs(gap)):.2g} off, the worst {np.abs(gap).max():.2g}"
        f" or {display.largest_deviation():.2g} standard errors."
        "\nFinite sizes smooth what is sharp at thresholds: a larger --size comes closer."
    )


def _print_table(display, table, form, n_columns=6):
    """Print some rows and columns of a map; a dash stands where there is no number."""
    import numpy as np

    columns = np.unique(np.linspace(0, len(display.x) - 1, n_columns).astype(int))
    rows = np.unique(np.linspace(0, len(display.y) - 1, n_columns).astype(int))[::-1]
    print(" " * 9 + "".join(f"{display.x[c]:9.3g}" for c in columns))
    for r in rows:
        cells = (
            format(table[r, c], form) if np.isfinite(table[r, c]) else " " * 8 + "-"
            for c in columns
        )
        print(f"{display.y[r]:9.3g}" + "".join(cells))
