"""Weights in float8 with a scale for each layer (ComfyUI's fp8_scaled): multiplied out when they are read.

`layer.weight` is stored as weight / scale, the scale beside it as `layer.scale_weight`, or in newer
files as `layer.weight_scale` with `layer.comfy_quant`, a JSON text, which names the dtype. What else
such files have is for arithmetic in float8 and says nothing of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from models.export.errors import ExportError
from models.export.unsupported import DEQUANTISE, unsupported

SCALES = ("scale_weight", "weight_scale")
ACTIVATIONS = ("scale_input", "input_scale")
MARKER = "scaled_fp8"
QUANTISATION = "comfy_quant"
KNOWN = ("float8_e4m3fn", "float8_e5m2")


class Float8Scales:
    """Of the tensors with these names; `read` gives one by its name."""

    def __init__(self, names: Iterable[str], read: Callable[[str], Tensor], label: str) -> None:
        self.names = set(names)
        self.read = read
        self.label = label
        self.scales = {
            f"{layer}.weight": name
            for name in self.names
            for layer, _, last in [name.rpartition(".")]
            if last in SCALES and f"{layer}.weight" in self.names
        }
        for name in self.names:
            if name.endswith(f".{QUANTISATION}"):
                self.refuse_unknown(name)

    def refuse_unknown(self, name: str) -> None:
        text = bytes(self.read(name).to(torch.uint8).tolist()).decode(errors="replace")
        try:
            kind = json.loads(text).get("format")
        except (ValueError, AttributeError):
            kind = text
        if kind not in KNOWN:
            raise unsupported(f"{self.label} is quantised to {kind}, and", DEQUANTISE, name)

    @property
    def own(self) -> set[str]:
        """Names that belong to this way of storing weights, and are no weights."""
        return {
            name
            for name in self.names
            if name in self.scales.values()
            or name.rpartition(".")[2] in (*ACTIVATIONS, MARKER, QUANTISATION)
        }

    def multiplied(self, name: str, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """The weight in `dtype`; rounded once."""
        if name not in self.scales:
            return weight.to(dtype) if weight.is_floating_point() else weight
        scale = self.read(self.scales[name]).float()
        if scale.numel() == 1:
            scale = scale.reshape(())
        elif scale.numel() == len(weight):
            # One for each row.
            scale = scale.reshape(-1, *[1] * (weight.dim() - 1))
        else:
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"{self.label}: {self.scales[name]}: expected one scale, or one for each of {len(weight)} rows, "
                f"received the shape {list(scale.shape)}.",
                received=list(scale.shape),
                expected=f"[] or [{len(weight)}]",
            )
        return weight.float().mul_(scale).to(dtype)
