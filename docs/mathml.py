"""Formulas as MathML, which browsers draw by themselves, without scripts or network."""

from importlib.resources import as_file, files
from pathlib import Path
from shutil import copy

from docutils import nodes
from latex2mathml.converter import convert


def inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed(translator, node):
    """Write a formula on lines of its own."""
    text = node.astext()
    lines = rf"\begin{{split}}{text}\end{{split}}" if r"\\" in text else text
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(convert(lines, display="block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def copy_font(app, exception):
    """Put the font of the formulas, which comes with ziamath, beside the style sheet."""
    if exception is None and app.builder.format == "html":
        with as_file(files("ziamath.fonts") / "STIXTwoMath-Regular.ttf") as font:
            copy(font, Path(app.outdir) / "_static")


def setup(app):
    """Offer the renderer to Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    app.connect("build-finished", copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
