"""The Python peer of the benchmark: reads requests from stdin, one JSON object a line, and answers.

{"op": "describe"} -> the version and settings of PyTorch.
{"op": "sample", "mode", "layer", "dtype", "steps", "seed", "classLabel", "cfgScale", "detailScale",
"channels", "latents"?} -> {"seconds", "processorSeconds"} for a whole image, and the latents as
base64 where asked for.
"""

from __future__ import annotations

import argparse
import base64
import copy
import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from bench.model import SIZES, conditioning, dimensions, empty_transformer, unconditional
from bench.peer.sampling import Evaluate, Step, eager, sample


class Peer:
    def __init__(self, bundle: Path, size: str, device: str) -> None:
        self.device = torch.device(device)
        self.model = empty_transformer(SIZES[size])
        weights = torch.jit.load(str(bundle / "transformer.pt"), map_location="cpu").state_dict()
        self.model.load_state_dict(weights, assign=True)
        self.settings = ["inference_mode"]
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
            if value := os.environ.get(name):
                self.settings.append(f"{name}={value}")
        # Weights as constants, packed for oneDNN: what inductor's documentation advises on a CPU.
        if self.device.type == "cpu":
            inductor.freezing = True
            self.settings.append("torch._inductor.config.freezing")

    @functools.cache  # noqa: B019 (one peer a process)
    def loaded(self, dtype: str) -> nn.Module:
        return copy.deepcopy(self.model).to(self.device, getattr(torch, dtype))

    @functools.cache  # noqa: B019
    def evaluator(self, mode: str, layer: int, channels: tuple[int, ...], dtype: str) -> Evaluate:
        model = self.loaded(dtype)
        if mode == "eager":
            return eager(model, layer, channels)
        step = Step(model, layer, channels, cut="cut" in mode).eval()
        how = "reduce-overhead" if mode.endswith("reduce-overhead") else "default"
        return torch.compile(step, dynamic=False, fullgraph=True, mode=how)

    def describe(self) -> dict[str, Any]:
        on_cuda = self.device.type == "cuda"
        return {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "withoutBfloat16": without_bfloat16(self.device),
            "settings": self.settings,
            "deviceName": torch.cuda.get_device_name(self.device) if on_cuda else "CPU",
        }

    def rows(self, label: int, dtype: torch.dtype) -> list[Tensor]:
        """Of each conditioning input the three rows of a step."""
        config = self.model.config
        pairs = zip(conditioning(config, label), unconditional(config), strict=True)
        rows = (torch.cat([with_it, without, with_it]) for with_it, without in pairs)
        return [each.to(self.device, dtype if each.is_floating_point() else None) for each in rows]

    def sample(self, request: dict[str, Any]) -> dict[str, Any]:
        shape = (1, *dimensions(self.model.config)[0])
        generator = torch.Generator().manual_seed(request["seed"])
        dtype = getattr(torch, request["dtype"])
        evaluate = self.evaluator(
            request["mode"], request["layer"], tuple(request["channels"]), request["dtype"]
        )
        rows = self.rows(request["classLabel"], dtype)
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        started, processor = time.perf_counter(), time.process_time()
        latents = sample(
            evaluate,
            torch.randn(shape, generator=generator).to(self.device),
            rows,
            steps=request["steps"],
            cfg_scale=request["cfgScale"],
            detail_scale=request["detailScale"],
            dtype=dtype,
        )
        answer: dict[str, Any] = {
            "seconds": time.perf_counter() - started,
            "processorSeconds": time.process_time() - processor,
            "peakBytes": torch.cuda.max_memory_allocated(self.device) if on_cuda else None,
        }
        if request.get("latents"):
            answer["latents"] = base64.b64encode(latents.numpy().tobytes()).decode()
        return answer


def without_bfloat16(device: torch.device) -> str | None:
    """Why bfloat16 has no instructions of its own on this device, or None."""
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if supported else "the device has no bfloat16"
    flags = set()
    if Path("/proc/cpuinfo").exists():
        flags = set(Path("/proc/cpuinfo").read_text().split())
    if flags & {"avx512_bf16", "amx_bf16", "bf16"}:
        return None
    return "the processor has no bfloat16 instructions (avx512_bf16)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, required=True)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    with torch.inference_mode():
        peer = Peer(arguments.bundle, arguments.size, arguments.device)
        for line in sys.stdin:
            request = json.loads(line)
            try:
                is_sample = request["op"] == "sample"
                answer = peer.sample(request) if is_sample else peer.describe()
            except Exception as error:  # the benchmark says it
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
