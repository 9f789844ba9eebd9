"""What a bundle of this repository's own holds, as modules of PyTorch: its transformer and its judge."""

from __future__ import annotations

from pathlib import Path

import torch

from models.diffusion_transformer import DiffusionTransformer, TransformerConfig
from models.export.bundle import read_manifest


def load_transformer(folder: Path) -> DiffusionTransformer:
    """The bundle's DiT as an eager float32 module: its state dict, not its trace, is used."""
    file = read_manifest(folder)["transformer"]["file"]
    weights = torch.jit.load(str(folder / file), map_location="cpu").state_dict()
    model = DiffusionTransformer(TransformerConfig.from_weights(weights))
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval().requires_grad_(False)


def load_judge(folder: Path) -> torch.jit.ScriptModule:
    """The bundle's classifier in float32: images [B, 1, 28, 28] in [-1, 1] -> logits [B, 10]."""
    file = read_manifest(folder)["classifier"]["file"]
    return torch.jit.load(str(folder / file), map_location="cpu").float().eval()
