"""The tensors of a module by their path."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by their path; tied ones under every path, as one tensor."""
    named = dict(module.named_parameters(remove_duplicate=False))
    named.update(module.named_buffers(remove_duplicate=False))
    return {name: tensor.detach() for name, tensor in named.items()}


def owner(module: Any, path: str) -> tuple[Any, str]:
    """The submodule that holds a tensor, and the tensor's name there."""
    prefix, _, name = path.rpartition(".")
    for part in prefix.split(".") if prefix else ():
        module = getattr(module, part)
    return module, name
