"""Arithmetic in float32 with weights in 16 bits, without a second copy of them.

A module under `InFloat32` computes what it would with its weights converted: each operation gets its
tensors in float32, one weight at a time, and code that asks for a dtype is told float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

SHORT = (torch.float16, torch.bfloat16)
DTYPE = torch.Tensor.dtype.__get__
SHORTEN = (torch.Tensor.half, torch.Tensor.bfloat16)


class InFloat32(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        if function is DTYPE:
            found = function(*args)
            return torch.float32 if found in SHORT else found
        if function in SHORTEN:
            function = torch.Tensor.float
        args, kwargs = tree_map(widened, (args, kwargs or {}))
        return function(*args, **kwargs)


def widened(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype in SHORT:
        return value.float()
    return torch.float32 if isinstance(value, torch.dtype) and value in SHORT else value
