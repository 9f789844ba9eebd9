"""Measure a bundle: the classifier on real images, and the classifier on generated ones.

    python -m models.evaluate --bundle models/embedded --samples 1000

Samples are class-conditional, the same number of each class, from seeds 0, 1, 2, ... with the
bundle's own number of steps and CFG scale; a sample is recognised if the classifier names the class
that it was asked for. With `--detail` Detail Guidance is on as well, by the bundle's defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.classifier import predict
from models.command_line import number, parser_of, run_command, whole
from models.export.bundle import read_manifest
from models.fashion_mnist import DEFAULT_FOLDER, load_split
from models.guided_sampling import (
    Branch,
    Edit,
    flow_sigmas,
    guidance_branches,
    sample,
    seeded_latents,
)
from models.trained import load_judge, load_transformer


def default_edit(manifest: dict[str, Any]) -> Edit:
    """The disruption of the bundle's own Detail Guidance."""
    detail = manifest["defaults"]["guidance"]["detail"]
    channels = detail["channels"]
    if channels == "auto":
        channels = manifest["massiveActivations"]["channels"]
    return Edit(detail["layer"], channels, retention=detail["retention"])


def generate(
    bundle: Path, count: int, branches: list[Branch], steps: int, batch_size: int = 100
) -> tuple[Tensor, Tensor]:
    """`count` samples [count, 1, 28, 28] in [-1, 1] and their classes [count], in turn."""
    manifest = read_manifest(bundle)
    model = load_transformer(bundle)
    latent, conditioning = manifest["latent"], manifest["conditioning"]
    shape = (latent["channels"], latent["height"], latent["width"])
    labels = torch.arange(count) % conditioning["numClasses"]
    images = []
    for seeds in torch.arange(count).split(batch_size):
        latents = seeded_latents(seeds.tolist(), shape)
        null_class, sigmas = conditioning["nullClass"], flow_sigmas(steps)
        images.append(sample(model, latents, labels[seeds], null_class, sigmas, branches))
    return torch.cat(images).clamp(-1, 1), labels


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument("--samples", type=whole(1), default=1000, help="pictures")
    parser.add_argument("--steps", type=whole(1), help="default: the bundle's")
    parser.add_argument("--scale", type=number(), help="CFG scale s; default: the bundle's")
    parser.add_argument("--detail", action="store_true", help="with the bundle's Detail Guidance")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.bundle)
    defaults = manifest["defaults"]
    judge = load_judge(arguments.bundle)

    images, labels = load_split(arguments.data, "test")
    accuracy = (predict(judge, images) == labels).float().mean().item()
    print(f"classifier on {len(labels)} real test images: {accuracy:.4f}", flush=True)

    steps = arguments.steps or defaults["numInferenceSteps"]
    guidance = defaults["guidance"]
    scale = guidance["classifierFree"]["scale"] if arguments.scale is None else arguments.scale
    detail = guidance["detail"]["scale"] if arguments.detail else 0.0
    branches = guidance_branches(scale, detail, default_edit(manifest))
    images, labels = generate(arguments.bundle, arguments.samples, branches, steps)
    recognised = predict(judge, images) == labels
    setting = f"CFG s = {scale:g}, DG w = {detail:g}, {steps} steps"
    print(f"recognised of {len(labels)} samples ({setting}): {recognised.float().mean():.4f}")
    for index, name in enumerate(manifest["conditioning"]["labels"]):
        print(f"  {name:12s} {recognised[labels == index].float().mean():.3f}")


if __name__ == "__main__":
    run_command(main)
