"""Libtorch's own kernels on this processor, by shape: which product and which order of a picture is
the fastest. What the graph passes `pack` and `convolutions` (native/core/graph) choose rests on it.

    python -m bench.kernels

Every shape is timed in turn: medians of milliseconds over several rounds, float32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d, linear

ROUNDS = 7
SECONDS = 0.2  # of one timing

Call = Callable[[], torch.Tensor]

# Rows, inputs, outputs: the benchmark's model, DiT-XL/2, SD3 and Flux.
LAYERS = [
    (768, 384, 1152),
    (768, 384, 1536),
    (768, 1536, 384),
    (512, 1152, 4608),
    (512, 4608, 1152),
    (154, 1536, 6144),
    (1536, 1536, 6144),
    (64, 3072, 12288),
    (512, 3072, 12288),
    (512, 12288, 3072),
]
# Inputs, outputs, side of the picture: 3 x 3 convolutions of a VAE's decoder.
CONVOLUTIONS = [(16, 512, 64), (512, 512, 64), (256, 256, 128), (256, 128, 256), (128, 128, 256)]


def milliseconds(call: Call, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count * 1e3


def in_turn(calls: dict[str, Call]) -> dict[str, float]:
    """Medians; the order turns round after every round."""
    counts = {
        name: max(1, int(SECONDS * 1e3 / milliseconds(call, 2))) for name, call in calls.items()
    }
    timings: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(ROUNDS):
        for name in list(calls)[:: 1 if index % 2 == 0 else -1]:
            timings[name].append(milliseconds(calls[name], counts[name]))
    return {name: statistics.median(values) for name, values in timings.items()}


def layer_kernels(rows: int, inputs: int, outputs: int) -> dict[str, Call]:
    x, bias = torch.randn(rows, inputs), torch.randn(outputs)
    weight = torch.randn(outputs, inputs) / inputs**0.5
    ops = torch.ops
    onednn = ops.mkldnn._reorder_linear_weight(weight, rows)
    mkl = ops.mkl._mkl_reorder_linear_weight(weight, rows)
    return {
        "at::linear": lambda: linear(x, weight, bias),
        "MKL, packed": lambda: ops.mkl._mkl_linear(x, mkl, weight, bias, rows),
        "oneDNN, packed": lambda: ops.mkldnn._linear_pointwise(x, onednn, bias, "none", [], ""),
    }


def convolution_kernels(inputs: int, outputs: int, side: int) -> dict[str, Call]:
    x, bias = torch.randn(1, inputs, side, side), torch.randn(outputs)
    weight = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
    last = {"memory_format": torch.channels_last}
    x_last, weight_last = x.to(**last), weight.to(**last)
    one, ops = [1, 1], torch.ops.mkldnn
    packed = ops._reorder_convolution_weight(weight, one, one, one, 1, list(x.shape))

    def pointwise(picture: torch.Tensor) -> torch.Tensor:
        return ops._convolution_pointwise(picture, packed, bias, one, one, one, 1, "none", [], "")

    return {
        "at::conv2d": lambda: conv2d(x, weight, bias, 1, 1),
        "packed": lambda: pointwise(x),
        "channels-last": lambda: conv2d(x_last, weight_last, bias, 1, 1),
        "channels-last, packed": lambda: pointwise(x_last),
    }


def main() -> None:
    subjects = [(layer_kernels, shape) for shape in LAYERS]
    subjects += [(convolution_kernels, shape) for shape in CONVOLUTIONS]
    with torch.inference_mode():
        for kernels, shape in subjects:
            found = in_turn(kernels(*shape))
            print(" x ".join(map(str, shape)).ljust(18), end="")
            print("  ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
