"""Batches of text and images through a model, and one vector of each."""

from __future__ import annotations

import os

import numpy as np

from ..utils._optional import import_optional
from ..utils._warnings import warn
from ._hugging_face_model import largest_length, learned_positions, part, text_model, vision_model

_BATCHES_WITH_BAR = 32
_PATIENCE = 10.0
"""Fewer batches are done before a progress bar is read, unless they take more seconds than this."""


def check_texts(X):
    """Return texts as a list."""
    if isinstance(X, str):
        raise TypeError("X is a single string: pass a list of texts.")
    texts = _listed(X)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"X[{i}] is {type(text).__name__}: every entry must be a string.")
        if not text.strip():
            raise ValueError(
                f"X[{i}] is an empty text: it has no token to take features from. Leave it out, or "
                "put a placeholder in its place."
            )
    return texts


def _listed(X):
    """Return the items of a list, an array, a series or a single column."""
    if isinstance(X, np.ndarray) or hasattr(X, "to_numpy"):
        values = X if isinstance(X, np.ndarray) else X.to_numpy()
        if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in "OUT":
            values = values[:, 0]
        if values.dtype.kind in "OUT" and values.ndim != 1:
            raise ValueError(f"X has shape {values.shape}: expected one column of items.")
        items = list(values)
    else:
        try:
            items = list(X)
        except TypeError as error:
            raise TypeError(f"X must hold texts or images, got {type(X).__name__}.") from error
    if not items:
        raise ValueError("X holds no item: pass at least one.")
    return items


def read_images(X):
    """Return images as arrays with three channels."""
    if isinstance(X, (str, os.PathLike)):
        raise TypeError("X is a single path: pass a list of images.")
    return [_image(i, item) for i, item in enumerate(_listed(X))]


def _image(i, item):
    """Return one image as an array of bytes."""
    if isinstance(item, (str, os.PathLike)):
        Image = import_optional("PIL.Image", "hf")
        try:
            with Image.open(item) as file:
                return np.asarray(file.convert("RGB"))
        except OSError as error:
            raise ValueError(
                f"X[{i}]={str(item)!r} cannot be read as an image: {error}."
            ) from error
    if hasattr(item, "convert"):
        return np.asarray(item.convert("RGB"))
    array = np.asarray(item)
    if array.dtype.kind not in "uif":
        raise TypeError(
            f"X[{i}] is {type(item).__name__}: expected an array, a PIL image or a path."
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            f"X[{i}] has shape {np.shape(item)}: expected (height, width) or (height, width, "
            "channels) with 1, 3 or 4 channels."
        )
    array = array[:, :, :3]
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"X[{i}] holds numbers outside [0, 1]: divide by the largest possible value, or "
                "pass bytes."
            )
        array = np.round(255 * array)
    elif array.min() < 0 or array.max() > 255:
        raise ValueError(f"X[{i}] holds whole numbers outside 0 to 255: pass bytes.")
    return (
        np.repeat(array, 3, axis=2).astype(np.uint8)
        if array.shape[2] == 1
        else array.astype(np.uint8)
    )


def bar(batches, verbose):
    """Return batches with a progress bar where there are many, or they are slow."""
    if not verbose:
        return batches
    delay = 0.0 if len(batches) >= _BATCHES_WITH_BAR else _PATIENCE
    tqdm = import_optional("tqdm", "hf").tqdm
    return tqdm(batches, desc="HuggingFaceEncoder", unit="batch", delay=delay)


def encode_texts(encoder, loaded, texts):
    """Return one vector per text."""
    torch = import_optional("torch", "hf")
    model, config = text_model(loaded)
    learned = learned_positions(model)
    limit = largest_length(config, loaded.processor, encoder.max_length, learned)
    tokens = _tokenized(loaded.processor, texts, limit)
    order = sorted(range(len(texts)), key=lambda i: -len(tokens[i]))
    size = encoder.batch_size
    batches = [order[first : first + size] for first in range(0, len(order), size)]
    padding = getattr(loaded.processor, "pad_token_id", None)
    padding = getattr(loaded.processor, "eos_token_id", None) if padding is None else padding
    device = next(model.parameters()).device
    rows: dict[int, np.ndarray] = {}
    for batch in bar(batches, encoder.verbose):
        longest = len(tokens[batch[0]])
        ids = torch.full((len(batch), longest), padding or 0, dtype=torch.long)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, i in enumerate(batch):
            ids[row, : len(tokens[i])] = torch.tensor(tokens[i])
            mask[row, : len(tokens[i])] = 1
        states = _states(encoder, model, input_ids=ids.to(device), attention_mask=mask.to(device))
        pooled = _pooled(states.float(), mask.to(states.device), encoder.pooling)
        for row, vector in zip(batch, pooled.cpu().numpy(), strict=True):
            rows[row] = vector
    return np.stack([rows[i] for i in range(len(texts))])


def _tokenized(tokenizer, texts, limit):
    """Return the tokens of texts, cut where they are too long."""
    tokens = [list(ids) for ids in tokenizer(texts, truncation=False, verbose=False)["input_ids"]]
    empty = [i for i, ids in enumerate(tokens) if not ids]
    if empty:
        raise ValueError(
            f"X[{empty[0]}] has no token that the tokenizer knows. Leave it out, or give it an "
            "unknown token."
        )
    long = [i for i, ids in enumerate(tokens) if len(ids) > limit]
    if long:
        warn(
            f"{len(long)} of {len(texts)} texts have more than max_length={limit} tokens (up to "
            f"{max(len(tokens[i]) for i in long)}) and are cut. Split them, or raise max_length if "
            "the model takes more.",
            UserWarning,
        )
        cut = tokenizer([texts[i] for i in long], truncation=True, max_length=limit)["input_ids"]
        for i, ids in zip(long, cut, strict=True):
            tokens[i] = list(ids)
    return tokens


def _states(encoder, model, **inputs):
    """Return the hidden states of one layer."""
    torch = import_optional("torch", "hf")
    with torch.inference_mode():
        try:
            found = model(**inputs, output_hidden_states=True, return_dict=True)
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"the device has no memory for batch_size={encoder.batch_size}: lower batch_size "
                "or max_length, or use dtype='bfloat16'. memory_estimate() returns what is needed."
            ) from error
    return found.hidden_states[layer_index(encoder.layer, len(found.hidden_states))]


def layer_index(layer, count):
    """Return the position of a layer among the hidden states."""
    if not -count <= layer < count:
        raise ValueError(
            f"layer={layer} does not exist: the model has hidden states 0 (embeddings) to "
            f"{count - 1}, or -{count} to -1."
        )
    return layer % count


def _pooled(states, mask, pooling):
    """Return one vector per item from its states."""
    torch = import_optional("torch", "hf")
    rows = torch.arange(len(states), device=states.device)
    if pooling == "last":
        return states[rows, mask.sum(1) - 1]
    if pooling == "cls":
        return states[:, 0]
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def encode_images(encoder, loaded, images):
    """Return one vector per image."""
    torch = import_optional("torch", "hf")
    model, config = vision_model(loaded)
    weight = next(model.parameters())
    size, rows = encoder.batch_size, []
    starts = list(range(0, len(images), size))
    for first in bar(starts, encoder.verbose):
        batch = images[first : first + size]
        pixels = loaded.processor(images=batch, return_tensors="pt")["pixel_values"]
        # Models of high resolution see the whole image first, then its tiles.
        pixels = pixels[:, 0] if pixels.ndim == 5 else pixels
        pixels = pixels.to(device=weight.device, dtype=weight.dtype)
        if encoder.layer == "projector":
            states = _projected(encoder, loaded, model, pixels)
        else:
            states = _states(encoder, model, pixel_values=pixels)
        states = states.float()
        if encoder.pooling == "mean" and encoder.layer != "projector":
            states = _patches(states, config)
        mask = torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
        rows.append(_pooled(states, mask, encoder.pooling).cpu().numpy())
    return np.concatenate(rows)


def _patches(states, config):
    """Return the states of the patches, without that of the class."""
    patch, image = getattr(config, "patch_size", None), getattr(config, "image_size", None)
    if isinstance(patch, int) and isinstance(image, int):
        return states[:, states.shape[1] - (image // patch) ** 2 :]
    return states


def _projected(encoder, loaded, model, pixels):
    """Return the patches as the language model sees them."""
    torch = import_optional("torch", "hf")
    projector = part(loaded.model, "multi_modal_projector")
    if projector is None:
        raise ValueError(
            f"layer='projector' needs a vision-language model with a projector, got "
            f"{type(loaded.model).__name__}. Use a number."
        )
    chosen = getattr(loaded.config, "vision_feature_layer", -2)
    chosen = chosen[-1] if isinstance(chosen, (list, tuple)) else chosen
    with torch.inference_mode():
        found = model(pixel_values=pixels, output_hidden_states=True, return_dict=True)
        states = found.hidden_states[chosen]
        if getattr(loaded.config, "vision_feature_select_strategy", "default") == "default":
            states = states[:, 1:]
        return projector(states)
