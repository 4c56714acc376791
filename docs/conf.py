"""Configuration of Sphinx."""

import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
# Worker processes of the gallery would compete for the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "skrmt"
author = "The skrmt developers"
copyright = f"2026, {author}"
version = release = "0.1.0"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "Thumbs.db"]
default_role = "code"
nitpicky = False

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skrmt",),
    "backreferences_dir": None,
    "show_memory": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skrmt {release}"
html_static_path = ["_static"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"]},
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


def setup(app):
    """Connect the hooks."""
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("source-read", list_public_names)
