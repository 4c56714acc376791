"""Export gallery pages as notebooks that run from top to bottom without network.

    python docs/make_notebooks.py [FOLDER]

The first cell shows how to install skrmt where there is no network: from a wheel that is attached as a
data set. Notebooks have no outputs.
"""

import json
import re
import sys
from pathlib import Path

GALLERY = Path(__file__).parent / "gallery"
PAGES = ("plot_noisy_labels_digits", "plot_synthetic_mix_digits", "plot_nested_clustering")
INSTALL = """# Where skrmt is not installed and there is no network, attach its wheel as a data set and run
# %pip install --no-index --no-deps /kaggle/input/skrmt/skrmt-0.2.0-py3-none-any.whl
import skrmt

print(skrmt.__version__)"""


def cells(source):
    """Yield kind and text of the cells of a gallery page."""
    docstring, _, rest = source.partition('"""\n')[2].partition('"""\n')
    yield "markdown", titled(docstring.strip())
    yield "code", INSTALL
    for block in re.split(r"^# %%\n", rest, flags=re.M):
        text, code, lines = [], [], block.strip("\n").split("\n")
        while lines and lines[0].startswith("#"):
            text.append(lines.pop(0).removeprefix("#").removeprefix(" "))
        code = "\n".join(lines).strip("\n")
        if text:
            yield "markdown", titled("\n".join(text).strip())
        if code:
            yield "code", code


def titled(text):
    """Turn underlined titles, roles and literals of reStructuredText into Markdown."""
    text = re.sub(r"^(.+)\n=+$", r"# \1", text, flags=re.M)
    text = re.sub(r"^(.+)\n-+$", r"## \1", text, flags=re.M)
    text = re.sub(r":\w+:`~?([^`<]+)`", lambda m: f"`{m[1].split('.')[-1]}`", text)
    return re.sub(r":math:`([^`]+)`", r"$\1$", text).replace("``", "`")


def notebook(source):
    """Return a gallery page as a notebook."""
    found = []
    for number, (kind, text) in enumerate(cells(source)):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        found.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def main(folder):
    """Write the notebooks."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        content = notebook((GALLERY / f"{page}.py").read_text(encoding="utf-8"))
        path = folder / f"{page.removeprefix('plot_')}.ipynb"
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GALLERY.parent / "_build" / "notebooks")
