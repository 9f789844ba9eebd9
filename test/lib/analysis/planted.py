"""Writes small DiT bundles whose hidden states have a known peculiarity.

    python planted.py <folder>

massive: channels 7 and 21 are strong at every token; thousandfold: a thousand times the others, in a
model that still tells the others apart; plain: nothing stands out; sinks: token 10 is long in all
channels, and channel 5 is strong at token 30 alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from models.diffusion_transformer import PRESETS, DiffusionTransformer  # noqa: E402
from models.embed import describe_transformer  # noqa: E402
from models.export.bundle import write_bundle  # noqa: E402

CONFIG = PRESETS["tiny"]


def untrained() -> DiffusionTransformer:
    """Every layer does something: the modulations of a new model are zero."""
    torch.manual_seed(0)
    model = DiffusionTransformer(CONFIG).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "modulation" in name or "final_projection" in name:
                value.normal_(std=0.02)
        model.position_embedding.normal_()
    return model


def plain() -> DiffusionTransformer:
    return untrained()


def massive() -> DiffusionTransformer:
    model = untrained()
    with torch.no_grad():
        model.position_embedding[:, :, 7] += 30
        model.position_embedding[:, :, 21] -= 20
    return model


def thousandfold() -> DiffusionTransformer:
    """As in large models, whose layers read the other channels behind a norm that the strong ones rule."""
    model = untrained()
    strong = {7: 1000.0, 21: -700.0}
    others = [channel for channel in range(CONFIG.width) if channel not in strong]
    squares = sum(value**2 for value in strong.values()) / CONFIG.width
    with torch.no_grad():
        for channel, value in strong.items():
            model.position_embedding[:, :, channel] += value
        for name, weight in model.named_parameters():
            if name.endswith(("qkv.weight", "mlp.0.weight", "final_projection.weight")):
                weight[:, others] *= squares**0.5
                weight[:, list(strong)] /= 10
    return model


def sinks() -> DiffusionTransformer:
    model = untrained()
    with torch.no_grad():
        model.position_embedding[:, 10] *= 8
        model.position_embedding[:, 30, 5] = 300
    return model


def main(folder: Path) -> None:
    for make in (plain, massive, thousandfold, sinks):
        write_bundle(
            make(),
            [torch.randn(2, 1, 28, 28), torch.rand(2), torch.tensor([0, 10])],
            {
                "name": make.__name__,
                "family": "dit",
                "licence": "MIT",
                "transformer": describe_transformer(CONFIG),
                "latent": {"channels": 1, "height": 28, "width": 28},
                "conditioning": {"kind": "class", "numClasses": 10, "nullClass": 10},
                "scheduler": {"kind": "flow-match-euler", "timestepScale": 1.0},
                "image": {"kind": "pixels", "range": [-1, 1], "channels": 1},
            },
            folder / make.__name__,
            dtype="float32",
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
