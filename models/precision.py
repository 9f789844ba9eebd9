"""How near pictures made in 16 bits come to those made in float32: what `dtype: 'auto'` goes by.

python -m models.precision --bundle models/embedded

measures the embedded family's bundles by their own defaults (one picture a class, the same latents
in every precision) and writes `transformer.psnr` of bundle.json. Weights and activations are in 16
bits, the guidance sum and the sampler's state in float32, as in the native loop.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.command_line import parser_of, run_command, whole
from models.export.bundle import read_manifest, to_json
from models.guided_sampling import Edit, flow_sigmas, guidance_branches, sample, seeded_latents
from models.trained import load_transformer

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
FIRST_SEED = 1000


def psnr(pictures: Tensor, reference: Tensor, value_range: tuple[float, float]) -> float:
    """Peak signal-to-noise ratio in dB over all values, clipped to the range as pictures are.

    0 where a value is not finite: such pictures are useless. Infinite for equal pictures.
    """
    if not bool(torch.isfinite(pictures).all()):
        return 0.0
    low, high = value_range
    difference = pictures.double().clamp(low, high) - reference.double().clamp(low, high)
    error = difference.square().mean().item()
    return math.inf if error == 0 else 10 * math.log10((high - low) ** 2 / error)


def measure_psnr(
    make_pictures: Callable[[torch.dtype], Tensor], value_range: tuple[float, float]
) -> dict[str, float]:
    """`transformer.psnr` of a bundle: each 16-bit dtype against float32, rounded to 0.1 dB.

    make_pictures: gives the pictures of a dtype, always from the same latents and conditioning.
    """
    reference = make_pictures(torch.float32)
    return {
        name: round(min(psnr(make_pictures(dtype).float(), reference, value_range), 200.0), 1)
        for name, dtype in PRECISIONS.items()
    }


class InPrecision(nn.Module):
    """A transformer in another dtype between float32 latents and float32 predictions."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).to(dtype)
        self.dtype = dtype

    @property
    def blocks(self) -> nn.ModuleList:
        return self.module.blocks

    def forward(self, latents: Tensor, *conditioning: Tensor) -> Tensor:
        return self.module(latents.to(self.dtype), *conditioning).float()


def measure(module: nn.Module, manifest: Mapping[str, Any], pictures: int) -> dict[str, float]:
    """`transformer.psnr` of a class-conditional DiT, by the guidance of its bundle's defaults."""
    latent, defaults = manifest["latent"], manifest["defaults"]
    guidance, found = defaults["guidance"], manifest["massiveActivations"]
    edit = Edit(found["layer"], found["channels"], retention=guidance["detail"]["retention"])
    branches = guidance_branches(
        guidance["classifierFree"]["scale"], guidance["detail"]["scale"], edit
    )
    shape = [latent["channels"], latent["height"], latent["width"]]
    latents = seeded_latents(range(FIRST_SEED, FIRST_SEED + pictures), shape)
    labels = torch.arange(pictures) % manifest["conditioning"]["numClasses"]
    null_class = manifest["conditioning"]["nullClass"]
    sigmas = flow_sigmas(defaults["numInferenceSteps"])

    def make_pictures(dtype: torch.dtype) -> Tensor:
        return sample(InPrecision(module, dtype), latents, labels, null_class, sigmas, branches)

    return measure_psnr(make_pictures, tuple(manifest["image"]["range"]))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    parser.add_argument("--pictures", type=whole(1), default=10, help="to measure on")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.bundle)
    module = load_transformer(arguments.bundle)
    manifest["transformer"]["psnr"] = measure(module, manifest, arguments.pictures)
    print(manifest["transformer"]["psnr"])
    if not arguments.dry_run:
        (arguments.bundle / "bundle.json").write_text(to_json(manifest))


if __name__ == "__main__":
    run_command(main)
