"""Linear layers with 8 bit weights, and activations, written anew from the description of them.

Weights: one scale an output channel, the largest magnitude over 127. Activations: per token, or per
picture, the range from the least (or 0) to the largest (or 0) in 255 steps with a zero point. Input
channels that are kept leave both and are added in float32 (LLM.int8(), arXiv 2208.07339); smoothing
divides activations and multiplies weights (SmoothQuant, arXiv 2211.10438). fp8: no zero points, the
largest magnitude becomes 448 (e4m3). Activations that are not rounded are as they were. In float64,
with products of the dequantised values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def in_float8(values: Tensor) -> Tensor:
    return values.clamp(-448, 448).to(torch.float8_e4m3fn)


def rounded_weight(weight: Tensor, weights: str) -> Tensor:
    scale = weight.abs().amax(1, keepdim=True) / (127 if weights == "int8" else 448)
    scale[scale == 0] = 1
    scaled = weight / scale
    values = scaled.round().clamp(-127, 127) if weights == "int8" else in_float8(scaled)
    return values.double() * scale.double()


def rounded_activations(x: Tensor, weights: str, activations: str) -> Tensor:
    if activations == "none":
        return x.double()
    axes = (-1,) if activations == "per-token" else tuple(range(1, x.dim()))
    if weights == "fp8":
        step = x.abs().amax(axes, keepdim=True) / 448
        step[step == 0] = 1
        return in_float8(x / step).double() * step.double()
    least = x.amin(axes, keepdim=True).clamp(max=0)
    step = (x.amax(axes, keepdim=True).clamp(min=0) - least) / 255
    step[step == 0] = 1
    zero = (-least / step).round()
    values = ((x / step).round() + zero).clamp(0, 255)
    return (values - zero).double() * step.double()


def layer(linear: nn.Linear, x: Tensor, how: dict[str, Any], setting: dict[str, str]) -> Tensor:
    weight = linear.weight
    smoothing = how.get("smoothing")
    if how.get("maxima"):  # SmoothQuant's rule with α = ½
        smoothing = (torch.tensor(how["maxima"]).sqrt() / weight.abs().amax(0).sqrt()).tolist()
    if smoothing:
        smoothing = torch.tensor(smoothing)
        x, weight = x / smoothing, weight * smoothing
    kept = torch.zeros(weight.shape[1], dtype=torch.bool)
    kept[how["channels"]] = True
    product = (
        rounded_activations(x.masked_fill(kept, 0), **setting)
        @ rounded_weight(weight.masked_fill(kept, 0), setting["weights"]).T
    )
    product = product + x[..., kept].double() @ weight[:, kept].double().T
    if linear.bias is not None:
        product = product + linear.bias.double()
    return product.to(x.dtype)


@contextmanager
def quantised(
    module: nn.Module, layers: list[dict[str, Any]], setting: dict[str, str]
) -> Iterator[None]:
    """`layers`: path, channels, and where there is some, smoothing or maxima. `setting`: of what
    kind weights are (int8, fp8), what shares a scale of activations (per-token, per-tensor, none)."""
    handles = []
    for how in layers:
        linear = module.get_submodule(how["path"])
        assert isinstance(linear, nn.Linear)
        handles.append(
            linear.register_forward_hook(
                lambda each, inputs, _output, how=how: layer(each, inputs[0], how, setting)
            )
        )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
