"""The parity reference: what the native code must compute, with ordinary forward hooks.

    python -m models.reference --bundle models/embedded --input in.safetensors \\
        --output out.safetensors < options.json

The eager DiT takes the weights in the state dict of the bundle's transformer (float32, CPU, one
thread), so that nothing of the trace is trusted. `options.json` is one of:

Forward:
    {"mode": "forward", "edits": [EDIT, ...], "capture": [LAYER, ...]}
    input tensors    "sample" [B, 1, 28, 28] float32, "timestep" [B] float32, "class" [B] int64
    output tensors   "prediction" like "sample"; "hidden.<LAYER>" [B, N, C] for each captured layer:
                     the block's output after its edits

Sample (Euler):
    {"mode": "sample", "sigmas": [1.0, ..., 0.0], "branches": [BRANCH, ...]}
    input tensors    "latents" [B, 1, 28, 28] float32 (the noise), "class" [B] int64
    output tensors   "latents" like the input
    `sigmas` are n + 1 descending numbers for n steps; the model's timestep is the sigma itself.
    Without `sigmas`, "steps": n gives 1, (n - 1) / n, ..., 1 / n, 0.

EDIT   = {"layer": 4, "channels": [12, 49] | null, "tokens": [0, 8] | null, "retention": 0.0}
         all but `layer` may be left out: all channels, all tokens, retention 0; in sampling,
         `retention` may be a list of one number per step.
BRANCH = {"weight": 1.5 | [one per step], "null": false, "edits": [EDIT, ...]}
         `null`: with the null class in the place of "class". D = sum of weight * prediction.

Errors leave no output file, a sentence on stderr and status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.diffusion_transformer import DiffusionTransformer
from models.export.bundle import read_manifest
from models.guided_sampling import Branch, Edit, disrupted, flow_sigmas, sample
from models.trained import load_transformer


@torch.inference_mode()
def forward(
    model: DiffusionTransformer, tensors: dict[str, Tensor], options: dict[str, Any]
) -> dict[str, Tensor]:
    """One disrupted evaluation with captures."""
    outputs: dict[str, Tensor] = {}
    with disrupted(model.blocks, [Edit(**edit) for edit in options.get("edits", [])]):
        # Registered after the edits' hooks, hence called after them.
        for layer in options.get("capture", []):
            model.blocks[layer].register_forward_hook(
                lambda module, inputs, output, layer=layer: outputs.update(
                    {f"hidden.{layer}": output.clone()}
                )
            )
        prediction = model(tensors["sample"], tensors["timestep"], tensors["class"])
    return {"prediction": prediction, **outputs}


def guided(
    model: DiffusionTransformer,
    null_class: int,
    tensors: dict[str, Tensor],
    options: dict[str, Any],
) -> dict[str, Tensor]:
    """A whole guided sampling run."""
    branches = [
        Branch(**{**branch, "edits": [Edit(**edit) for edit in branch.get("edits", [])]})
        for branch in options["branches"]
    ]
    sigmas = options.get("sigmas") or flow_sigmas(options["steps"])
    latents = sample(model, tensors["latents"], tensors["class"], null_class, sigmas, branches)
    return {"latents": latents}


def run(bundle: Path, tensors: dict[str, Tensor], options: dict[str, Any]) -> dict[str, Tensor]:
    """Answer one request; see the head of this file for the options."""
    model = load_transformer(bundle)
    mode = options.get("mode")
    if mode == "forward":
        return forward(model, tensors, options)
    if mode == "sample":
        null_class = read_manifest(bundle)["conditioning"]["nullClass"]
        return guided(model, null_class, tensors, options)
    raise ValueError(f'"mode" is {mode!r}; it should be "forward" or "sample"')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True, help="safetensors file")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file")
    parser.add_argument("--options", help="the JSON itself; read from stdin when left out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        options = json.loads(arguments.options or sys.stdin.read())
        results = run(arguments.bundle, load_file(arguments.input), options)
        unfinished = arguments.output.with_suffix(".unfinished")
        save_file({name: value.contiguous() for name, value in results.items()}, unfinished)
        os.replace(unfinished, arguments.output)
    except (KeyError, IndexError, TypeError, ValueError, OSError, RuntimeError) as error:
        print(f"models.reference: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
