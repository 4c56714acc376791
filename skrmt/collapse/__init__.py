"""Next-token models, whose collapse under recursive training is known in advance."""

from .. import _install
from ._next_token import NextTokenModel

_install.check()

__all__ = ["NextTokenModel"]
