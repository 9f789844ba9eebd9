"""Patches with sine and cosine positions that follow the size of the latent.

diffusers' PatchEmbed uses a table for its own size and computes others in Python, from sizes that a
trace turns into constants. Here the positions are computed from the tensor's size, in the trace.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResizablePatchEmbed(nn.Module):
    """diffusers' PatchEmbed without its table: latents [B, C, H, W] -> tokens [B, H W / p², D]."""

    def __init__(self, original: nn.Module, width: int) -> None:
        super().__init__()
        self.proj = original.proj
        self.patch = original.patch_size
        self.width = width
        self.base = original.base_size
        self.scale = original.interpolation_scale

    def forward(self, latent: Tensor) -> Tensor:
        rows, columns = latent.shape[-2] // self.patch, latent.shape[-1] // self.patch
        tokens = self.proj(latent).flatten(2).transpose(1, 2)
        across, down = self.waves(columns), self.waves(rows)
        half = self.width // 2
        table = torch.cat(
            [
                across[None].expand(rows, columns, half),
                down[:, None].expand(rows, columns, half),
            ],
            dim=-1,
        )
        return (tokens + table.reshape(1, -1, self.width).float()).type_as(tokens)

    def waves(self, count: int) -> Tensor:
        """sin and cos of the positions along one side, [count, D / 2] in float64."""
        positions = torch.arange(count, dtype=torch.float32) / (count / self.base) / self.scale
        quarter = self.width // 4
        frequencies = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
        angles = torch.outer(positions.double(), frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def make_resizable(transformer: nn.Module) -> nn.Module:
    """The transformer with `pos_embed` replaced."""
    width = transformer.pos_embed.proj.out_channels
    transformer.pos_embed = ResizablePatchEmbed(transformer.pos_embed, width)
    return transformer
