"""What PyTorch accepts and a model file cannot have, replaced while it is traced by what gives the same values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

# The result has the dtype of the tensor that they are given, whatever the number.
FILLS = frozenset({"masked_fill", "masked_fill_", "fill_", "full_like", "new_full"})
# A tensor without axes takes part in type promotion as a number does.
ARITHMETIC = frozenset(
    {"where", "add", "add_", "sub", "sub_", "mul", "mul_", "eq", "ne"}
    | {f"__{name}__" for name in ("add", "radd", "iadd", "mul", "rmul", "imul", "eq", "ne")}
)
# Memory as it happens to be is refused in a model file (docs/operators.md).
ZEROED = {
    torch.empty: torch.zeros,
    torch.empty_like: torch.zeros_like,
    Tensor.new_empty: Tensor.new_zeros,
}


class PortableOperators(TorchFunctionMode):
    """While it is on, what gets True or False as a number, such as `x.masked_fill(mask, True)`, gets a number
    or a tensor: a trace has no operator for flags. What asks for memory alone gets zeros.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        function = ZEROED.get(function, function)
        name = getattr(function, "__name__", "")
        if name == "full":
            size, fill = (*args, kwargs.pop("fill_value", None))[:2]
            if isinstance(fill, bool):
                kwargs.setdefault("dtype", torch.bool)
            args = (size, as_number(fill))
        elif name in FILLS:
            args = tuple(as_number(value) for value in args)
            kwargs |= {
                key: as_number(kwargs[key]) for key in ("value", "fill_value") if key in kwargs
            }
        elif name in ARITHMETIC:
            args = tree_map(as_scalar, args)
        return function(*args, **kwargs)


def as_number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def as_scalar(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, bool) else value
