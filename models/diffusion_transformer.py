"""A small class-conditional Diffusion Transformer (DiT) with adaLN-zero blocks.

Source: Peebles & Xie, "Scalable Diffusion Models with Transformers", arXiv 2212.09748. Trained here
by flow matching (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003):

    x_t = (1 - t) * x_0 + t * noise,    prediction v = noise - x_0,    t in (0, 1]

Shapes: B images, N tokens (patches, row by row), C hidden channels ("width").

Everything a trace records must hold at any batch size, on any device and at any weight dtype, hence
no buffers, no `.to(dtype)` with a constant, and no tensor that is created on a fixed device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerConfig:
    """Geometry of the model; the defaults are the embedded model's (2.5 M parameters)."""

    image_size: int = 28
    image_channels: int = 1
    patch_size: int = 4
    width: int = 128
    depth: int = 8
    heads: int = 4
    mlp_ratio: int = 4
    num_classes: int = 10

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        return self.grid**2

    @property
    def null_class(self) -> int:
        """The class index that stands for "no class": the unconditional branch of CFG."""
        return self.num_classes

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> TransformerConfig:
        """Read the geometry off a state dict; heads are taken to have 32 channels each."""
        width, channels, patch, _ = weights["patch_embedding.weight"].shape
        _, tokens, _ = weights["position_embedding"].shape
        return cls(
            image_size=math.isqrt(tokens) * patch,
            image_channels=channels,
            patch_size=patch,
            width=width,
            depth=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
            heads=width // 32,
            mlp_ratio=weights["blocks.0.mlp.0.weight"].shape[0] // width,
            num_classes=weights["class_embedding.weight"].shape[0] - 1,
        )


# Every preset has 32 channels per head: `from_weights` relies on it.
PRESETS = {
    "small": TransformerConfig(),
    "fine": TransformerConfig(patch_size=2),  # 196 tokens
    "large": TransformerConfig(width=256, depth=12, heads=8),
    "tiny": TransformerConfig(width=64, depth=3, heads=2),  # for tests
}


def timestep_embedding(timestep: Tensor, channels: int) -> Tensor:
    """Sinusoidal embedding of t in (0, 1], scaled by 1000: [B] float32 -> [B, channels] float32.

    Source: the DiT paper's reference code, frequencies 10000^(-i / (channels / 2)).
    """
    half = channels // 2
    # 0, 1, ..., half - 1 by a running sum of ones: a trace of `torch.arange(device=...)` would pin
    # the device it was made on.
    ones = (timestep * 0 + 1)[:, None].expand(-1, half)
    frequencies = torch.exp((ones.cumsum(1) - 1) * (-math.log(10000.0) / half))
    angles = (1000.0 * timestep)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """adaLN's (1 + scale) * x + shift, one scale and shift per image and channel."""
    return x * (1 + scale[:, None]) + shift[:, None]


class Attention(nn.Module):
    """Multi-head self-attention, [B, N, C] -> [B, N, C]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        attended = F.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        return self.projection(attended.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """One adaLN-zero block: z + gate_1 * attention(z), then + gate_2 * mlp(z).

    `modulation` gives six chunks per image, in order: shift, scale, gate of the attention, then
    shift, scale, gate of the MLP. It starts at zero, so that a new block is the identity.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(mlp_ratio * width, width),
        )
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Hidden state [B, N, C] and conditioning [B, C] -> hidden state after the second add."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(c)).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attention(modulate(self.norm1(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


class DiffusionTransformer(nn.Module):
    """The whole model; `blocks[k]` is layer k of the bundle."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch_size
        self.patch_embedding = nn.Conv2d(config.image_channels, width, patch, stride=patch)
        self.position_embedding = nn.Parameter(torch.zeros(1, config.tokens, width))
        self.timestep_mlp = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.class_embedding = nn.Embedding(config.num_classes + 1, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.final_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.final_projection = nn.Linear(width, config.image_channels * patch**2)
        self._initialise()

    def _initialise(self) -> None:
        """DiT's initialisation: Xavier for linear maps, zero for every modulation and the output."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        nn.init.zeros_(self.patch_embedding.bias)
        nn.init.normal_(self.position_embedding, std=0.02)
        nn.init.normal_(self.class_embedding.weight, std=0.02)
        for module in self.timestep_mlp[::2]:
            nn.init.normal_(module.weight, std=0.02)
        modulations = [block.modulation for block in self.blocks]
        for module in [*modulations, self.final_modulation, self.final_projection]:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, sample: Tensor, timestep: Tensor, class_label: Tensor) -> Tensor:
        """Predict v = noise - x_0.

        sample: [B, 1, 28, 28] in the weights' dtype; timestep: [B] float32 in (0, 1], whatever the
        weights' dtype; class_label: [B] int64, 0..num_classes (the last is the null class).
        Returns a tensor like `sample`.
        """
        x = self.patch_embedding(sample).flatten(2).transpose(1, 2) + self.position_embedding
        # The sinusoid needs float32 (angles reach 1000); only then the weights' dtype.
        embedded = timestep_embedding(timestep, self.config.width)
        c = self.timestep_mlp(embedded.type_as(self.class_embedding.weight))
        c = c + self.class_embedding(class_label)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.final_modulation(F.silu(c)).chunk(2, dim=1)
        patches = self.final_projection(modulate(self.final_norm(x), shift, scale))
        grid = (self.config.grid, self.config.grid)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, grid), self.config.patch_size)
