"""HuggingFaceEncoder where its extra is not installed."""

from __future__ import annotations

import sys

import pytest

from skrmt.feature_extraction import HuggingFaceEncoder


def test_missing_packages_name_the_extra(monkeypatch):
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in ("fit", "memory_estimate"):
        with pytest.raises(ImportError, match=r"skrmt\[hf\]"):
            getattr(HuggingFaceEncoder("some/model"), call)()
