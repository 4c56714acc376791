"""Pure functions of numbers and spectra: what random matrix theory proves, without data.

Each module is a public namespace, one a subject:

- `skrmt.theory.collapse`: models trained on the output of models, generation after generation.
- `skrmt.theory.learning_curves`: ridge regression at any number of rows.
- `skrmt.theory.noisy_labels`: linear classifiers trained on labels that are partly wrong.
- `skrmt.theory.spiked_tensor`: the strongest rank-one part of a noisy tensor.
- `skrmt.theory.deflation`: several components of a noisy tensor, one after another or jointly.
- `skrmt.theory.nested_tensor`: two classes seen through several noisy views.
- `skrmt.theory.preference`: preference optimisation and self-play, and whether they are stable.
- `skrmt.theory.representation`: whether two sets of embeddings are alike, and can be matched.
- `skrmt.theory.sgd`: stochastic gradient descent in stages, its loss curve known in advance.
- `skrmt.theory.synthetic_mix`: linear classifiers trained on real and synthetic rows.
"""

from .. import _install
from . import (
    collapse,
    deflation,
    learning_curves,
    nested_tensor,
    noisy_labels,
    preference,
    representation,
    sgd,
    spiked_tensor,
    synthetic_mix,
)

_install.check()

__all__ = [
    "collapse",
    "deflation",
    "learning_curves",
    "nested_tensor",
    "noisy_labels",
    "preference",
    "representation",
    "sgd",
    "spiked_tensor",
    "synthetic_mix",
]
