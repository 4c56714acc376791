"""Configuration of Sphinx."""

import importlib
import inspect
import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path

from docutils import nodes
from numpydoc.docscrape import FunctionDoc

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
# Worker processes of the gallery would compete for the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "skrmt"
author = "The skrmt developers"
copyright = f"2026, {author}"
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
version = release = PROJECT["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "mathml",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "Thumbs.db"]
default_role = "code"
nitpicky = False

# The inventories lie beside: building needs no network (make_inventories.py writes them).
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", "_inventories/sklearn.inv"),
    "numpy": ("https://numpy.org/doc/stable/", "_inventories/numpy.inv"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "_inventories/scipy.inv"),
}

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False

theory = importlib.import_module("skrmt.theory").__all__
# Rooms inside a subpackage are no place to import from: they get no page.
inner = ["skrmt.utils.testing", *(f"skrmt.theory.{name}" for name in theory)]
autosummary_context = {"public_modules": inner}
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False
toc_object_entries_show_parents = "hide"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "gallery_order.QuestionOrder",
    "doc_module": ("skrmt",),
    "backreferences_dir": None,
    "show_memory": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"skrmt {release}"
html_static_path = ["_static"]
html_css_files = ["skrmt.css"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"]},
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
}
# Pages without neighbours need no list of them beside them.
html_sidebars = {
    page: []
    for page in (
        "install",
        "chooser",
        "glossary",
        "contributing",
        "changelog",
        "benchmarks",
        "is_it_true",
    )
}
html_show_sourcelink = False


def skip_generated(app, what, name, obj, skip, options):
    """Leave out members without documentation of their own: tuple fields, metadata requests."""
    field = type(obj).__name__ == "_tuplegetter"
    request = name.startswith("set_") and name.endswith("_request")
    return True if field or request else None


def list_public_names(app, docname, source):
    """Fill the lists of the reference, so that no public name can be missing."""

    def public_names(module):
        return importlib.import_module(module).__all__

    if docname == "api/index":
        context = {"public_names": public_names}
        source[0] = app.builder.templates.render_string(source[0], context)


def write_theory_pages(app):
    """Write the theory reference: every public function beside its formulas, from its docstring."""
    folder = Path(app.srcdir) / "theory"
    folder.mkdir(exist_ok=True)
    for name in importlib.import_module("skrmt.theory").__all__:
        text = theory_page(importlib.import_module(f"skrmt.theory.{name}"))
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def theory_page(module):
    """Return the page of one module of theory."""
    title, _, more = inspect.getdoc(module).partition("\n")
    short = title.rstrip(".").partition(":")[0]
    more = re.sub(r"^(.+)\n-{3,}$", r".. rubric:: \1\n", more.strip(), flags=re.M)
    more = re.sub(r"(?<![:`])`(\w+)`(?!`)", lambda name: linked(module, name[1]), more)
    parts = [heading(short, "="), title, more, f"Module :mod:`{module.__name__}`."]
    for name in module.__all__:
        member = getattr(module, name)
        if inspect.isfunction(member):
            parts += theory_section(module, name, member)
    return "\n\n".join(part for part in parts if part) + "\n"


def linked(module, name):
    """Return a name, with a link where it is a function or class of the module."""
    roles = {True: "class", False: "func"}
    member = getattr(module, name, None) if name in module.__all__ else None
    role = roles[inspect.isclass(member)]
    return f":{role}:`~{module.__name__}.{name}`" if member else f"`{name}`"


def theory_section(module, name, function):
    """Return title, summary, formulas, symbols and sources of a function."""
    doc = FunctionDoc(function)
    sources = " ".join(line.strip() for line in doc["References"]).strip()
    symbols = [defined(f"``{item.name}`` : {item.type}", item.desc) for item in doc["Parameters"]]
    results = [defined(f"Returns : {returned(item)}", item.desc) for item in doc["Returns"]]
    return [
        heading(name, "-"),
        " ".join(doc["Summary"]),
        linked(module, name),
        unnumbered("\n".join(doc["Notes"])),
        ".. container:: skrmt-symbols",
        indented(unnumbered("\n".join(symbols + results))),
        f"Source: {unnumbered(sources)}" if sources else "",
    ]


def returned(item):
    """Return name and type of a result, as far as it has them."""
    return ", ".join(part for part in (item.name, item.type) if part)


def defined(term, lines):
    """Return an entry of a list of definitions."""
    return f"{term}\n{indented(chr(10).join(lines) or '...')}\n"


def indented(text):
    """Indent a block of text."""
    return textwrap.indent(text, "   ")


def heading(text, line):
    """Return a title."""
    return f"{text}\n{line * len(text)}"


def unnumbered(text):
    """Drop the numbers of references, which are unique in a docstring and not on a page."""
    return re.sub(r"\.\. \[\d+\] | ?\[\d+\]_", "", text)


def link_articles(app, doctree):
    """Make links of the numbers of articles."""
    for text in list(doctree.findall(nodes.Text)):
        if "arXiv:" in text and type(text.parent) in (nodes.paragraph, nodes.emphasis):
            parts = re.split(r"(arXiv:\d{4}\.\d{5})", text)
            text.parent.replace(text, [linked_article(part) for part in parts if part])


def linked_article(text):
    """Return a number of an article as a link, other text as it is."""
    if not re.fullmatch(r"arXiv:[\d.]+", text):
        return nodes.Text(text)
    return nodes.reference("", text, refuri=f"https://arxiv.org/abs/{text[6:]}")


def setup(app):
    """Connect the hooks."""
    app.connect("doctree-read", link_articles)
    app.connect("builder-inited", write_theory_pages)
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("source-read", list_public_names)
