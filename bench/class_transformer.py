"""The project's DiT in the stages that the benchmark's peers put together by hand."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion_transformer import DiffusionTransformer, modulate, timestep_embedding

State = tuple[Tensor, ...]


class ClassTransformer(DiffusionTransformer):
    """forward() is DiffusionTransformer's; begin, step and end are the same in pieces."""

    def begin(
        self, sample: Tensor, timestep: Tensor, labels: Tensor
    ) -> tuple[State, tuple[Tensor, ...]]:
        """The hidden states with a row an image, (image, c), and what all rows share: nothing."""
        hidden = self.patch_embedding(sample).flatten(2).transpose(1, 2) + self.position_embedding
        embedded = timestep_embedding(timestep, self.config.width)
        c = self.timestep_mlp(embedded.type_as(self.class_embedding.weight))
        return (hidden, c + self.class_embedding(labels)), ()

    def step(self, block: nn.Module, state: State, _shared: tuple[Tensor, ...]) -> State:
        hidden, c = state
        return block(hidden, c), c

    def end(self, state: State, _sample: Tensor) -> Tensor:
        hidden, c = state
        shift, scale = self.final_modulation(F.silu(c)).chunk(2, dim=1)
        patches = self.final_projection(modulate(self.final_norm(hidden), shift, scale))
        grid = (self.config.grid, self.config.grid)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, grid), self.config.patch_size)
