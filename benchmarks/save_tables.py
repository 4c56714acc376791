"""Save the Markdown tables of the benchmarks, read from standard input, as CSV files of a folder.

``make benchmarks | tee report.md; python benchmarks/save_tables.py docs/benchmark_tables <
report.md`` renews the tables of the documentation.
"""

import csv
import re
import sys
from pathlib import Path


def tables(lines):
    """Yield the title and the rows of each table."""
    title, rows = None, []
    for line in [*lines, "### "]:
        if line.startswith("### "):
            if rows:
                yield title, rows
            title, rows = line[4:].strip(), []
        elif line.startswith("| "):
            rows.append([literal(cell.strip()) for cell in line.strip()[1:-1].split("|")])


def literal(cell):
    """Quote names that end with an underscore, which reStructuredText takes for a link."""
    return re.sub(r"(\w+_)(?!\w)", r"``\1``", cell)


def file_name(title):
    """Turn a title into the name of a file."""
    return re.sub(r"[^a-z0-9]+", "_", title.split("(")[0].lower()).strip("_") + ".csv"


def main():
    """Save all tables."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for title, rows in tables(sys.stdin):
        with (folder / file_name(title)).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
