"""Hidden states of pretrained models as features."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_memory

from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from ._hugging_face_batches import (
    check_texts,
    encode_images,
    encode_texts,
    layer_index,
    read_images,
)
from ._hugging_face_model import (
    evaluating,
    largest_length,
    learned_positions,
    load,
    memory_estimate,
    text_model,
    vision_model,
)

if TYPE_CHECKING:
    from ._hugging_face_model import MemoryEstimate


class HuggingFaceEncoder(
    DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Features of text or images: hidden states of a pretrained model.

    It needs torch and transformers, and Pillow for images: `pip install "skrmt[hf]"`.

    Parameters
    ----------
    model : str, path or torch module
        Name of a model, such as "tiiuae/falcon-11B" or "tiiuae/falcon-11B-vlm", a folder that holds
        one, or a ready model.
    modality : {"text", "image"}, default="text"
        What X holds.
    layer : int or "projector", default=-1
        Which hidden state, 0 for the embeddings and -1 for the last layer; "projector" for the
        patches of an image as the language model of a vision-language model sees them.
    pooling : {"mean", "last", "cls"}, default="mean"
        How one vector is made of the states of all tokens or patches: their mean, the last, or the
        first one. The mean of an image leaves the class token out.
    batch_size : int, default=16
        Items at a time.
    max_length : int, default=None
        Largest number of tokens of a text; what the model takes if None. Longer ones are cut, with
        a warning. More than the positions that a model has learned are refused.
    device : str, default=None
        Torch device of the model; where it is if None. A ready model is copied if it is elsewhere.
    dtype : {"float32", "bfloat16", "float16", "float64"}, default=None
        Type of the weights; as they were saved if None. Pooling is done in float32. A ready model
        is copied if its weights are of another type.
    device_map : str or dict, default=None
        How a large model is spread over devices (by accelerate).
    normalize : bool, default=False
        Whether each vector is divided by its length.
    processor : tokenizer or image processor, default=None
        What prepares the input; that of the model if None. A ready model needs it.
    memory : str or joblib.Memory, default=None
        Folder in which features are kept, so that the same items are not computed again.
    local_files_only : bool, default=False
        Whether to look for the model on this machine only.
    revision : str, default=None
        Which version of the model: a branch, a tag or, as only a commit stays what it is, a commit.
        None: the newest.
    use_safetensors : bool or None, default=True
        Whether weights are read from safetensors files, which hold numbers alone: True, only from
        them; False, only from others; None, from what there is. Others are pickles, which run what
        their author put in.
    verbose : int, default=1
        0 for no progress bar on long input.

    Attributes
    ----------
    n_features_out_ : int
        Number of features.
    n_layers_ : int
        Number of layers of the model; hidden states are numbered from 0 to this.

    See Also
    --------
    skrmt.matching.EncoderMatcher : Matches the features of two encoders.

    Notes
    -----
    Nothing is learned: `fit` loads the model and checks the parameters. Texts are sorted by length
    inside, so that little is padded, and come back in order. `clone` shares a ready model instead
    of copying it, and every part of it is in the mode (training or evaluation) and of the type in
    which it was, before and after; an encoder with a model by name is pickled without its weights.

    References
    ----------
    Falcon2-11B Technical Report, arXiv:2407.14885.

    Examples
    --------
    >>> from skrmt.feature_extraction import HuggingFaceEncoder
    >>> encoder = HuggingFaceEncoder("tiiuae/falcon-11B", dtype="bfloat16", pooling="last")
    >>> encoder.get_params()["layer"]
    -1

    With the weights on this machine, ``encoder.fit(texts).transform(texts)`` has one row of 4096
    numbers for each text.
    """

    _parameter_constraints: dict = {
        "model": "no_validation",
        "modality": [StrOptions({"text", "image"})],
        "layer": [numbers.Integral, StrOptions({"projector"})],
        "pooling": [StrOptions({"mean", "last", "cls"})],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left")],
        "max_length": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "device": [str, None],
        "dtype": "no_validation",
        "device_map": "no_validation",
        "normalize": ["boolean"],
        "processor": "no_validation",
        "memory": "no_validation",
        "local_files_only": ["boolean"],
        "revision": [str, None],
        "use_safetensors": ["boolean", None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: Any,
        *,
        modality: Literal["text", "image"] = "text",
        layer: int | Literal["projector"] = -1,
        pooling: Literal["mean", "last", "cls"] = "mean",
        batch_size: int = 16,
        max_length: int | None = None,
        device: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16", "float64"] | None = None,
        device_map: str | Mapping[str, Any] | None = None,
        normalize: bool = False,
        processor: Any = None,
        memory: Any = None,
        local_files_only: bool = False,
        revision: str | None = None,
        use_safetensors: bool | None = True,
        verbose: int = 1,
    ) -> None:
        self.model = model
        self.modality = modality
        self.layer = layer
        self.pooling = pooling
        self.batch_size = batch_size
        self.max_length = max_length
        self.device = device
        self.dtype = dtype
        self.device_map = device_map
        self.normalize = normalize
        self.processor = processor
        self.memory = memory
        self.local_files_only = local_files_only
        self.revision = revision
        self.use_safetensors = use_safetensors
        self.verbose = verbose

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Sequence[Any] | None = None, y: None = None) -> Self:
        """Load the model.

        Parameters
        ----------
        X : sequence, default=None
            Not used but checked.
        y : None
            Not used.

        Returns
        -------
        HuggingFaceEncoder
            The encoder, ready to transform.

        Raises
        ------
        ImportError
            If torch or transformers is not installed.
        ValueError
            If the model cannot be loaded, has no such layer, or has learned fewer positions than
            `max_length`.
        """
        if X is not None:
            self._checked(X)
        check_memory(self.memory)
        loaded = load(self)
        inner, config = text_model(loaded) if self.modality == "text" else vision_model(loaded)
        if self.modality == "text":
            largest_length(config, loaded.processor, self.max_length, learned_positions(inner))
        width = config.hidden_size
        if self.layer == "projector":
            width = loaded.config.text_config.hidden_size if self.modality == "image" else None
            if width is None:
                raise ValueError("layer='projector' is for modality='image': use a number.")
        else:
            layer_index(self.layer, config.num_hidden_layers + 1)
        self._loaded = loaded
        self.n_layers_ = int(config.num_hidden_layers)
        self.n_features_out_ = int(width)
        return self

    @property
    def _n_features_out(self):
        """Number of features, for their names."""
        return self.n_features_out_

    def _checked(self, X):
        """Return the items as a list."""
        return check_texts(X) if self.modality == "text" else read_images(X)

    def transform(self, X: Sequence[Any]) -> NDArray[Any]:
        """Compute the features of texts or images.

        Parameters
        ----------
        X : sequence of str, or of array, PIL image or path
            The items: a list, an array, a series or a single column of a table.

        Returns
        -------
        ndarray of float32 of shape (n, n_features_out)
            One row for each item.

        Raises
        ------
        TypeError
            If an entry is no text or image.
        ValueError
            If there is none, a text is empty, or a file cannot be read.
        """
        check_is_fitted(self)
        items = self._checked(X)
        if self.memory is None:
            return self._features(items)
        cached = check_memory(self.memory).cache(_cached_features, ignore=["encoder"])
        return cached(self._key(), items, encoder=self)

    def _features(self, items):
        """Return the features of checked items."""
        encode = encode_texts if self.modality == "text" else encode_images
        loaded = self._model()
        with evaluating(loaded.model):
            features = encode(self, loaded, items).astype(np.float32, copy=False)
        if self.normalize:
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            features = features / np.where(lengths > 0, lengths, 1)
        return features

    def _model(self):
        """Return the model, loaded again after a pickle."""
        if self._loaded is None:
            self._loaded = load(self)
        return self._loaded

    def _key(self):
        """Return what the features depend on beside the items."""
        names = ("modality", "layer", "pooling", "max_length", "normalize")
        given = [getattr(self, name) for name in names]
        if isinstance(self.model, str) or hasattr(self.model, "__fspath__"):
            return joblib.hash([str(self.model), self.revision, str(self.dtype), *given])
        state = self._model().model.state_dict()
        sums = [(name, tuple(w.shape), float(w.double().sum())) for name, w in state.items()]
        return joblib.hash([sums, *given])

    def memory_estimate(self) -> MemoryEstimate:
        """Estimate what the model needs, before it is loaded.

        Returns
        -------
        MemoryEstimate
            `n_parameters`, and bytes of `weights`, of the `activations` of one batch at its
            largest, and in `total`; from the configuration alone.

        Raises
        ------
        ImportError
            If torch or transformers is not installed.
        ValueError
            If the configuration cannot be loaded.
        """
        return memory_estimate(self)

    def __getstate__(self):
        state = dict(super().__getstate__())
        by_name = isinstance(self.model, str) or hasattr(self.model, "__fspath__")
        if by_name and "_loaded" in state:
            state["_loaded"] = None
        return state

    def __sklearn_clone__(self):
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = self.modality == "text"
        tags.transformer_tags.preserves_dtype = []
        return tags


def _cached_features(key, items, encoder):
    """Return features; the key stands for the encoder in the cache."""
    return encoder._features(items)
