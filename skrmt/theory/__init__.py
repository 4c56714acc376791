"""Pure functions of numbers and spectra: what random matrix theory proves, without data.

Each module is a public namespace, one a subject:

- `skrmt.theory.noisy_labels`: linear classifiers trained on labels that are partly wrong.
- `skrmt.theory.synthetic_mix`: linear classifiers trained on real and synthetic rows.
"""

from .. import _install
from . import noisy_labels, synthetic_mix

_install.check()

__all__ = ["noisy_labels", "synthetic_mix"]
