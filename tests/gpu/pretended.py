"""A device that refuses what CUDA refuses, on machines without one.

Tensors on the pretended device are computed by the processor, but may not meet tensors of the
processor that have a dimension, nor be read by NumPy before they are moved. What is moved to the
processor is counted: a device waits for each such copy.
"""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("cuda", 0)
_READS = {
    "item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__contains__", "allclose",
    "equal",
}  # fmt: skip
_INPLACE = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__"}


class Pretended(torch.Tensor):
    """A tensor on the pretended device."""


def pretended(array):
    """Return a NumPy array as a tensor on the pretended device."""
    return torch.as_tensor(np.ascontiguousarray(array)).as_subclass(Pretended)


class PretendedDevice(TorchFunctionMode):
    """The context in which the device exists.

    Attributes
    ----------
    copies : list of int
        How many numbers each copy to the processor has moved.
    """

    def __init__(self):
        super().__init__()
        self.copies = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Compute on the processor, and keep account of where the tensors are."""
        with torch._C.DisableTorchFunctionSubclass():
            found = _call(func, args, dict(kwargs or {}))
            self.copies += _moved_numbers(func, args, found)
            return found


def _moved_numbers(func, args, found):
    """Return, in a list, how many numbers of the device a call has moved to the processor."""
    name = func.__name__
    if not any(isinstance(tensor, Pretended) for tensor in _tensors(args)):
        return []
    if name in ("cpu", "to") and type(found) is torch.Tensor:
        return [found.numel()]
    if name in _READS and not isinstance(found, torch.Tensor):
        return [args[0].numel()]
    # How many entries a mask selects decides the shape of what is selected.
    masks = args[1:2] if name in ("__getitem__", "__setitem__") else args
    selects = name in (
        "__getitem__",
        "__setitem__",
        "nonzero",
        "argwhere",
        "masked_select",
        "unique",
    )
    chosen = selects and (
        name not in ("__getitem__", "__setitem__")
        or any(mask.dtype == torch.bool for mask in _tensors(masks) if mask.dim())
    )
    return [1] if chosen else []


def _call(func, args, kwargs):
    """Return what a function of torch gives."""
    name = func.__name__
    tensors = list(_tensors((args, kwargs)))
    there = any(isinstance(tensor, Pretended) for tensor in tensors)
    if name == "as_subclass" or not (there or _is_there(kwargs.get("device")) or name == "to"):
        return func(*args, **kwargs)
    if name == "__get__":
        return _property(func, args)
    if name in ("numpy", "__array__"):
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy.")
    if name == "cpu":
        return _plain(args[0])
    if name == "to":
        return _moved(func, args, kwargs, there)
    if not there:
        kwargs["device"] = "cpu"
    elif strangers := [t for t in _checked(name, args, tensors) if _is_stranger(t)]:
        shapes = [tuple(tensor.shape) for tensor in strangers]
        raise RuntimeError(f"Expected all tensors on the same device: {name} got {shapes}.")
    found = func(*_plain(args), **_plain(kwargs))
    in_place = name in _INPLACE or (name.endswith("_") and not name.endswith("__"))
    return args[0] if in_place else _wrapped(found)


def _checked(name, args, tensors):
    """Return the tensors that must be on the device: all but indices."""
    return list(_tensors(args[2:])) if name in ("__getitem__", "__setitem__") else tensors


def _is_stranger(tensor):
    """Tell whether a tensor is elsewhere; CUDA takes single numbers from anywhere."""
    return not isinstance(tensor, Pretended) and tensor.dim() > 0


def _property(func, args):
    """Return a property of a tensor on the device."""
    name = getattr(func.__self__, "__name__", "")
    if name == "device":
        return DEVICE
    return True if name == "is_cuda" else _wrapped(func(*_plain(args)))


def _moved(func, args, kwargs, there):
    """Return a tensor with another device or dtype."""
    options = [*args[1:], kwargs.pop("device", None)]
    wanted = [option for option in options if isinstance(option, (torch.device, str))]
    kept = [option for option in options if isinstance(option, torch.dtype)]
    tensor = _plain(args[0])
    found = func(tensor, *kept, **kwargs) if kept or kwargs else tensor
    return _wrapped(found) if (_is_there(wanted[0]) if wanted else there) else found


def _is_there(device):
    """Tell whether a device is the pretended one."""
    return device is not None and str(device).startswith("cuda")


def _tensors(values):
    """Yield all tensors of nested arguments."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _plain(values):
    """Return nested arguments with tensors of the processor."""
    if isinstance(values, torch.Tensor):
        return values.as_subclass(torch.Tensor)
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    return type(values)(map(_plain, values)) if type(values) in (list, tuple) else values


def _wrapped(values):
    """Return results on the device."""
    if isinstance(values, torch.Tensor):
        return values.as_subclass(Pretended)
    if type(values).__module__ == "torch.return_types":
        return type(values)(map(_wrapped, values))
    return type(values)(map(_wrapped, values)) if type(values) in (list, tuple) else values
