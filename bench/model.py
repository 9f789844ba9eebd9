"""The benchmark's model: a DiT with random weights, big enough that the network dominates.

`python -m bench.model --size full --out FOLDER` writes it as a bundle.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.bundle import write_bundle
from models.diffusion_transformer import DiffusionTransformer, TransformerConfig

# Three channels, since a bundle's latents are the picture; of the cost, latents are nothing.
SIZES = {
    "full": TransformerConfig(
        image_size=32,
        image_channels=3,
        patch_size=2,
        width=384,
        depth=12,
        heads=6,
        num_classes=1000,
    ),
    "dit-xl-2": TransformerConfig(  # DiT-XL/2 at 256 px: 675 M parameters, for a GPU
        image_size=32,
        image_channels=3,
        patch_size=2,
        width=1152,
        depth=28,
        heads=16,
        num_classes=1000,
    ),
    "tiny": TransformerConfig(  # for tests
        image_size=8, image_channels=3, patch_size=2, width=32, depth=4, heads=2
    ),
}


def random_transformer(config: TransformerConfig) -> DiffusionTransformer:
    """With the same weights every time, modulations and output too: DiT's own start at zero."""
    torch.manual_seed(0)
    model = DiffusionTransformer(config).eval().requires_grad_(False)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("modulation", "final_projection")):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.normal_(module.bias, std=0.1)
    return model


def description(config: TransformerConfig) -> dict[str, Any]:
    size = [config.image_channels, config.image_size, config.image_size]
    return {
        "name": "benchmark-dit",
        "family": "dit",
        "licence": "MIT",
        "description": "Random weights, for the benchmark",
        "transformer": {
            "inputs": [
                {
                    "name": "sample",
                    "role": "latent",
                    "dtype": "float",
                    "shape": ["batch", *size],
                },
                {"name": "timestep", "role": "timestep", "dtype": "float32", "shape": ["batch"]},
                {"name": "class", "role": "class", "dtype": "int64", "shape": ["batch"]},
            ],
            "blocks": [{"path": "blocks.*", "streams": ["image"]}],
            "outputChannels": config.image_channels,
            "prediction": "flow",
            "tokenGrid": [config.grid, config.grid],
            "hiddenChannels": config.width,
        },
        "latent": dict(zip(("channels", "height", "width"), size, strict=True)),
        "conditioning": {
            "kind": "class",
            "numClasses": config.num_classes,
            "nullClass": config.null_class,
        },
        "scheduler": {
            "kind": "flow-match-euler",
            "timestepSpacing": "trailing",
            "timestepScale": 1.0,
        },
        "image": {"kind": "pixels", "range": [-1, 1], "channels": config.image_channels},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = SIZES[arguments.size]
    example = (
        torch.randn(2, config.image_channels, config.image_size, config.image_size),
        torch.tensor([0.3, 0.8]),
        torch.tensor([1, 2]),
    )
    write_bundle(
        random_transformer(config), example, description(config), arguments.out, dtype="float32"
    )


if __name__ == "__main__":
    main()
