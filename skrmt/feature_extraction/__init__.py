"""Features of text and images from pretrained models."""

from .. import _install
from ._hugging_face_encoder import HuggingFaceEncoder
from ._hugging_face_model import MemoryEstimate

_install.check()

__all__ = ["HuggingFaceEncoder", "MemoryEstimate"]
