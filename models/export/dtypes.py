"""The dtypes of weights: as they are asked for, as files name them, and as what they are written."""

from __future__ import annotations

import torch

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# How weights are written that a file holds in one of these. bfloat16 has every value of both float8s.
WRITTEN_AS = {
    "F64": "float32",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "bfloat16",
    "F8_E5M2": "bfloat16",
}
FLOAT8 = ("F8_E4M3", "F8_E5M2")
# PyTorch's names, as safetensors writes them.
NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
