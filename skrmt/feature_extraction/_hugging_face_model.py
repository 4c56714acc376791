"""Pretrained models: loading them, what they need, and the part that reads text or images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple

from ..utils._optional import import_optional

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_MULTIMODAL = ("llava", "llava_next", "llava_onevision")
_MANY_TOKENS = 10**6
"""A limit above this is a placeholder of the tokenizer, not a length the model takes."""
_USUAL_TOKENS = 2048
"""Length where a model names none: what the attention of small decoders was trained on."""


class MemoryEstimate(NamedTuple):
    """What a model needs, in bytes.

    Attributes
    ----------
    n_parameters : int
        Number of weights.
    weights : int
        Memory of the weights.
    activations : int
        Memory of the hidden states of one batch at its largest.
    total : int
        Their sum.
    """

    n_parameters: int
    weights: int
    activations: int
    total: int


class LoadedModel(NamedTuple):
    """A model that is ready.

    Attributes
    ----------
    model : torch module
        The model; that of the caller is used as it is, see `evaluating`.
    processor : tokenizer or image processor
        What turns input into tensors.
    config : object
        Its configuration.
    """

    model: Any
    processor: Any
    config: Any


def torch_dtype(dtype):
    """Return the torch type of a name."""
    torch = import_optional("torch", "hf")
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in _BYTES:
        raise ValueError(f"dtype must be one of {', '.join(_BYTES)} or None, got {dtype!r}.")
    return getattr(torch, dtype)


def load(encoder):
    """Return the model of an encoder."""
    torch = import_optional("torch", "hf")
    if isinstance(encoder.model, torch.nn.Module):
        return _ready(encoder)
    name = _name(encoder.model)
    transformers = import_optional("transformers", "hf")
    local = {"local_files_only": bool(encoder.local_files_only), "revision": encoder.revision}
    config = _found(transformers.AutoConfig.from_pretrained, name, **local)
    options: dict[str, Any] = {**local, "use_safetensors": encoder.use_safetensors}
    kind = torch_dtype(encoder.dtype)
    if kind is not None:
        options[_dtype_name(transformers)] = kind
    if encoder.device_map is not None:
        options["device_map"] = encoder.device_map
    model = _found(_model_class(transformers, config).from_pretrained, name, **options)
    processor = encoder.processor
    if processor is None:
        reader = "AutoTokenizer" if encoder.modality == "text" else "AutoImageProcessor"
        processor = _found(getattr(transformers, reader).from_pretrained, name, **local)
    if encoder.device_map is None and encoder.device is not None:
        model = model.to(encoder.device)
    return LoadedModel(model.eval(), processor, config)


def _ready(encoder):
    """Return a model that was given."""
    if encoder.processor is None:
        what = "tokenizer" if encoder.modality == "text" else "image processor"
        raise ValueError(
            f"model is a ready {type(encoder.model).__name__} and processor is None: pass its "
            f"{what} as processor."
        )
    return LoadedModel(_as_asked(encoder), encoder.processor, encoder.model.config)


def _as_asked(encoder):
    """Return a model of the type and on the device that are asked for, a copy if it is neither."""
    model, kind = encoder.model, torch_dtype(encoder.dtype)
    device = (
        None if encoder.device is None else import_optional("torch", "hf").device(encoder.device)
    )
    weights = [weight for weight in model.parameters() if weight.is_floating_point()]
    same_type = kind is None or all(weight.dtype == kind for weight in weights)
    same_place = device is None or all(_is_on(weight, device) for weight in weights)
    return model if same_type and same_place else deepcopy(model).to(device=device, dtype=kind)


def _is_on(weight, device):
    """Return whether a weight is on a device, the first one of its kind where none is named."""
    return weight.device.type == device.type and device.index in (None, weight.device.index)


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Compute without dropout, and leave every part of a model in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _name(model):
    """Return the name of a model or its folder as a string."""
    if isinstance(model, str) or hasattr(model, "__fspath__"):
        name = str(model)
        if name:
            return name
    raise ValueError(
        f"model must be the name of a model, a folder or a torch module, got {model!r}."
    )


def _found(read, name, **options):
    """Read a part of a model, or raise an error that names what is missing."""
    try:
        return read(name, **options)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().split("\n")[0]
        raise ValueError(
            f"model={name!r} could not be loaded: {first} Check the name, that the folder holds "
            "config.json, weights and tokenizer or preprocessor files, or that the model hub can "
            "be reached; without it, download the model before and pass its folder. Weights that "
            "are not in safetensors files may run code when they are loaded: use_safetensors=None "
            "takes them from an author you trust."
        ) from error


def _dtype_name(transformers):
    """Return how this version calls the type of the weights."""
    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _model_class(transformers, config):
    """Return the class that loads a model with everything that is needed."""
    if config.model_type in _MULTIMODAL:
        for name in ("AutoModelForImageTextToText", "AutoModelForVision2Seq"):
            if hasattr(transformers, name):
                return getattr(transformers, name)
    return transformers.AutoModel


def part(model, *names):
    """Return the first part of a model that exists, outside or inside of `model.model`."""
    for owner in (model, getattr(model, "model", None)):
        for name in names:
            found = getattr(owner, name, None)
            if found is not None:
                return found
    return None


def text_model(loaded):
    """Return the part of a model that reads text, and its configuration."""
    config = getattr(loaded.config, "text_config", None) or loaded.config
    inner = part(loaded.model, "language_model", "text_model")
    if inner is None:
        inner = loaded.model
        base = getattr(inner, "base_model", None)
        inner = base if base is not None else inner
    return getattr(inner, "base_model", inner), config


def vision_model(loaded):
    """Return the part of a model that reads images, and its configuration."""
    inner = part(loaded.model, "vision_tower", "vision_model")
    config = getattr(loaded.config, "vision_config", None) or loaded.config
    return (loaded.model if inner is None else inner), config


def learned_positions(model):
    """Return how many positions a model has learned, None where it takes any number."""
    torch = import_optional("torch", "hf")
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if isinstance(module, torch.nn.Embedding) and ("position" in last or last == "wpe"):
            # Positions of models with a padding token start behind its number.
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - max(first, getattr(module, "offset", 0))
    return None


def largest_length(config, processor, max_length, learned=None):
    """Return how many tokens a text may have."""
    if max_length is not None:
        if learned is not None and max_length > learned:
            raise ValueError(
                f"max_length={max_length} is more than the {learned} positions that the model has "
                "learned: lower it, or leave it at None."
            )
        return int(max_length)
    limits = [
        learned,
        getattr(processor, "model_max_length", None),
        getattr(config, "max_position_embeddings", None),
    ]
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < _MANY_TOKENS]
    return min(known, default=_USUAL_TOKENS)


def memory_estimate(encoder):
    """Return what a model needs, from its configuration."""
    torch = import_optional("torch", "hf")
    if isinstance(encoder.model, torch.nn.Module):
        config, model = encoder.model.config, encoder.model
    else:
        transformers = import_optional("transformers", "hf")
        config = _found(
            transformers.AutoConfig.from_pretrained,
            _name(encoder.model),
            local_files_only=bool(encoder.local_files_only),
            revision=encoder.revision,
        )
        with torch.device("meta"):
            model = _model_class(transformers, config).from_config(config)
    kind = encoder.dtype or getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    size = _BYTES.get(str(kind or "float32").removeprefix("torch."), 4)
    n_parameters = sum(weight.numel() for weight in model.parameters())
    activations = encoder.batch_size * _activations(encoder, config) * size
    weights = n_parameters * size
    return MemoryEstimate(n_parameters, weights, activations, weights + activations)


def _activations(encoder, config):
    """Return the numbers of all hidden states of one item."""
    if encoder.modality == "text":
        inner = getattr(config, "text_config", None) or config
        positions = largest_length(inner, None, encoder.max_length)
    else:
        inner = getattr(config, "vision_config", None) or config
        positions = (inner.image_size // inner.patch_size) ** 2 + 1
    return positions * inner.hidden_size * (inner.num_hidden_layers + 1)
