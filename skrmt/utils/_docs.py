"""Links from the HTML representation of an estimator to its documentation."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from ._pickles import VersionedMixin


@cache
def documentation_url() -> str:
    """Return the address of the documentation, from the metadata of the distribution."""
    try:
        urls = metadata("skrmt").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    entries = dict(url.split(", ", 1) for url in urls)
    return entries.get("Documentation", "").rstrip("/")


class DocLinkMixin(VersionedMixin):
    """Make scikit-learn's HTML representation link to this package's documentation.

    Every documented estimator has it, and with it the version in its pickles.

    Put it before `BaseEstimator`. Without a documentation address there is no link.

    Examples
    --------
    >>> from skrmt.utils._docs import DocLinkMixin
    >>> DocLinkMixin._doc_link_module
    'skrmt'
    """

    _doc_link_module = "skrmt"

    @property
    def _doc_link_template(self) -> str:
        module = ".".join(type(self).__module__.split(".")[:2])
        return f"{documentation_url()}/api/generated/{module}.{{estimator_name}}.html"

    def _get_doc_link(self) -> str:
        """Return the address of the estimator's page, or an empty string."""
        parent: Any = super()
        return parent._get_doc_link() if documentation_url() else ""
