"""A transformer with joint attention over text and image, in the sizes of SD3-medium and of Flux.

Random weights, plain PyTorch, and the operators that the published models have: two streams with
their own weights and one attention (Esser et al., arXiv 2403.03206), after them, in Flux, blocks of
one stream in which attention and MLP run side by side, RMSNorm of queries and keys, and rotary
positions. Shapes: B images, N image tokens, T text tokens, C hidden channels, D channels of a head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion_transformer import modulate, timestep_embedding


@dataclass(frozen=True)
class JointConfig:
    width: int
    joint: int  # blocks of two streams
    single: int  # blocks of one, after them
    heads: int
    latent_size: int
    text_tokens: int
    text_width: int
    pooled_width: int
    rotary: bool  # else a table of positions
    latent_channels: int = 16
    patch_size: int = 2
    most_patches: int = 192  # along a side

    @property
    def grid(self) -> int:
        return self.latent_size // self.patch_size


class Attention(nn.Module):
    """Queries, keys and values of one stream: [B, tokens, C] -> three of [B, tokens, heads, D]."""

    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        normed = config.rotary
        head = config.width // config.heads
        self.query_norm = nn.RMSNorm(head, eps=1e-6) if normed else nn.Identity()
        self.key_norm = nn.RMSNorm(head, eps=1e-6) if normed else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.value)
        )
        return self.query_norm(query), self.key_norm(key), value


def rotate(x: Tensor, rotation: tuple[Tensor, ...]) -> Tensor:
    """Rotary embedding of neighbouring pairs (Su et al., arXiv 2104.09864), in float32."""
    if not rotation:
        return x
    cosine, sine = rotation
    real, imaginary = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    turned = torch.stack([-imaginary, real], dim=-1).flatten(3)
    return (x.float() * cosine + turned.float() * sine).type_as(x)


def attend(query: Tensor, key: Tensor, value: Tensor, rotation: tuple[Tensor, ...]) -> Tensor:
    query, key = rotate(query, rotation), rotate(key, rotation)
    attended = F.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return attended.transpose(1, 2).flatten(2)


class Stream(nn.Module):
    """What a block of two streams has for each: adaLN, projections, MLP."""

    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        width = config.width
        self.modulation = nn.Linear(width, 6 * width)
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = Attention(config)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def finish(self, x: Tensor, attended: Tensor, chunks: tuple[Tensor, ...]) -> Tensor:
        _, _, gate1, shift2, scale2, gate2 = chunks
        x = x + gate1[:, None] * self.projection(attended)
        return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


class JointBlock(nn.Module):
    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.image, self.text = Stream(config), Stream(config)

    def forward(
        self, image: Tensor, text: Tensor, c: Tensor, *rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """image [B, N, C], text [B, T, C], c [B, C] -> image, text."""
        ready = []
        for stream, x in ((self.text, text), (self.image, image)):
            chunks = stream.modulation(F.silu(c)).chunk(6, dim=1)
            ready.append(
                (chunks, stream.attention(modulate(stream.norm1(x), chunks[0], chunks[1])))
            )
        (text_chunks, text_parts), (image_chunks, image_parts) = ready
        joined = [torch.cat(both, dim=1) for both in zip(text_parts, image_parts, strict=True)]
        attended = attend(*joined, rotation)
        tokens = text.shape[1]
        return (
            self.image.finish(image, attended[:, tokens:], image_chunks),
            self.text.finish(text, attended[:, :tokens], text_chunks),
        )


class SingleBlock(nn.Module):
    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        width = config.width
        self.modulation = nn.Linear(width, 3 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attention = Attention(config)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"))
        self.projection = nn.Linear(5 * width, width)

    def forward(
        self, image: Tensor, text: Tensor, c: Tensor, *rotation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As JointBlock."""
        tokens = text.shape[1]
        x = torch.cat([text, image], dim=1)
        shift, scale, gate = self.modulation(F.silu(c)).chunk(3, dim=1)
        normed = modulate(self.norm(x), shift, scale)
        attended = attend(*self.attention(normed), rotation)
        x = x + gate[:, None] * self.projection(torch.cat([attended, self.inner(normed)], dim=2))
        return x[:, tokens:], x[:, :tokens]


State = tuple[Tensor, ...]


class JointTransformer(nn.Module):
    def __init__(self, config: JointConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_embedding = nn.Conv2d(
            config.latent_channels, width, config.patch_size, stride=config.patch_size
        )
        if config.rotary:
            quarter = width // config.heads // 4
            frequencies = torch.exp(torch.arange(quarter) * (-math.log(10000.0) / quarter))
            self.frequencies = nn.Parameter(frequencies)
        else:
            positions = torch.empty(1, config.most_patches, config.most_patches, width)
            self.position_embedding = nn.Parameter(positions)
        self.text_embedding = nn.Linear(config.text_width, width)
        self.timestep_mlp = mlp(width, width)
        self.pooled_mlp = mlp(config.pooled_width, width)
        self.joint = nn.ModuleList(JointBlock(config) for _ in range(config.joint))
        self.single = nn.ModuleList(SingleBlock(config) for _ in range(config.single))
        self.final_norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.final_modulation = nn.Linear(width, 2 * width)
        self.final_projection = nn.Linear(width, config.latent_channels * config.patch_size**2)

    @property
    def blocks(self) -> list[nn.Module]:
        return [*self.joint, *self.single]

    def begin(
        self, sample: Tensor, timestep: Tensor, text: Tensor, pooled: Tensor
    ) -> tuple[State, tuple[Tensor, ...]]:
        """The hidden states with a row an image, (image, text, c), and what all rows share."""
        patches = self.patch_embedding(sample)
        rows, columns = patches.shape[-2], patches.shape[-1]
        image = patches.flatten(2).transpose(1, 2)
        if not self.config.rotary:
            image = image + self.position_embedding[:, :rows, :columns].flatten(1, 2)
        embedded = timestep_embedding(timestep, self.config.width).type_as(image)
        c = self.timestep_mlp(embedded) + self.pooled_mlp(pooled)
        return (image, self.text_embedding(text), c), self.rotation(patches, text)

    def rotation(self, patches: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        """Cosines and sines [1, T + N, 1, D] of the positions; the text is at the origin."""
        if not self.config.rotary:
            return ()
        # 0, 1, … by running sums: a trace of torch.arange would pin the device it was made on.
        ones = patches[0, 0].float() * 0 + 1
        down, across = ones.cumsum(0) - 1, ones.cumsum(1) - 1
        frequencies = self.frequencies.float()
        image = torch.cat([down[..., None] * frequencies, across[..., None] * frequencies], dim=-1)
        origin = (text[0, :, :1].float() * 0).expand(-1, 2 * len(self.frequencies))
        angles = torch.cat([origin, image.flatten(0, 1)]).repeat_interleave(2, dim=-1)
        return angles.cos()[None, :, None], angles.sin()[None, :, None]

    def step(self, block: nn.Module, state: State, shared: tuple[Tensor, ...]) -> State:
        image, text, c = state
        return (*block(image, text, c, *shared), c)

    def end(self, state: State, sample: Tensor) -> Tensor:
        image, _, c = state
        shift, scale = self.final_modulation(F.silu(c)).chunk(2, dim=1)
        patches = self.final_projection(modulate(self.final_norm(image), shift, scale))
        size = self.config.patch_size
        grid = (sample.shape[-2] // size, sample.shape[-1] // size)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, grid), size)

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, pooled: Tensor) -> Tensor:
        """sample [B, 16, H, W], timestep [B] in (0, 1], text [B, T, text_width], pooled
        [B, pooled_width] -> a prediction like `sample`."""
        state, shared = self.begin(sample, timestep, text, pooled)
        for block in self.blocks:
            state = self.step(block, state, shared)
        return self.end(state, sample)


def mlp(given: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(given, width), nn.SiLU(), nn.Linear(width, width))
