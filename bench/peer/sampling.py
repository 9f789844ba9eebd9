"""CFG + DG in plain PyTorch, as one writes it without detail-guidance: the peers of the benchmark.

Rows of a step: conditional, unconditional, detail-deficient. A mode is a function from latents,
timesteps [rows] and labels [rows] to predictions of three rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion_transformer import DiffusionTransformer, modulate, timestep_embedding

Evaluate = Callable[[Tensor, Tensor, Tensor], Tensor]

DEFICIENT = 2  # the row that is disrupted


def eager(model: DiffusionTransformer, layer: int, channels: Sequence[int]) -> Evaluate:
    """Three rows through the module; a forward hook disrupts the last one."""
    index = torch.tensor(list(channels), device=model.position_embedding.device)

    def disrupt(_module: nn.Module, _inputs: tuple[Tensor, ...], hidden: Tensor) -> Tensor:
        hidden[DEFICIENT, :, index] = 0  # a fresh tensor, the block's own sum: no copy is needed
        return hidden

    def evaluate(x: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        handle = model.blocks[layer].register_forward_hook(disrupt)
        try:
            return model(x, timestep, labels)
        finally:
            handle.remove()

    return evaluate


class Step(nn.Module):
    """The model written out, with the disruption in it, for torch.compile.

    With `cut`, two rows go through the blocks up to and with `layer`, and three through the rest:
    what one can do by hand for the prefix that two branches share.
    """

    def __init__(
        self, model: DiffusionTransformer, layer: int, channels: Sequence[int], cut: bool
    ) -> None:
        super().__init__()
        self.model, self.layer, self.cut = model, layer, cut
        weight = model.position_embedding
        keep = torch.ones(3, 1, weight.shape[2], dtype=weight.dtype, device=weight.device)
        keep[DEFICIENT, :, list(channels)] = 0
        self.keep = nn.Buffer(keep)

    def forward(self, x: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        model = self.model
        if self.cut:
            x, timestep, labels = x[:DEFICIENT], timestep[:DEFICIENT], labels[:DEFICIENT]
        hidden = model.patch_embedding(x).flatten(2).transpose(1, 2) + model.position_embedding
        embedded = timestep_embedding(timestep, model.config.width)
        c = model.timestep_mlp(embedded.type_as(model.class_embedding.weight))
        c = c + model.class_embedding(labels)
        for index, block in enumerate(model.blocks):
            hidden = block(hidden, c)
            if index == self.layer:
                if self.cut:
                    hidden, c = torch.cat([hidden, hidden[:1]]), torch.cat([c, c[:1]])
                hidden = hidden * self.keep
        shift, scale = model.final_modulation(F.silu(c)).chunk(2, dim=1)
        patches = model.final_projection(modulate(model.final_norm(hidden), shift, scale))
        grid = (model.config.grid, model.config.grid)
        return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, grid), model.config.patch_size)


def sample(
    evaluate: Evaluate,
    latents: Tensor,
    label: int,
    null_class: int,
    steps: int,
    cfg_scale: float,
    detail_scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """A whole image by flow-matching Euler; latents, sum and state in float32.

    D = D(c) + (s - 1)(D(c) - D(null)) + w (D(c) - D_m(c)), s: cfg_scale, w: detail_scale.
    """
    labels = torch.tensor([label, null_class, label], device=latents.device)
    weights = torch.tensor(
        [cfg_scale + detail_scale, 1 - cfg_scale, -detail_scale], device=latents.device
    ).view(3, 1, 1, 1)
    x = latents
    for step in range(steps):
        timestep = torch.full((3,), 1 - step / steps, device=latents.device)
        predictions = evaluate(x.to(dtype).expand(3, -1, -1, -1).contiguous(), timestep, labels)
        x = x - (predictions.float() * weights).sum(0, keepdim=True) / steps
    return x.cpu()
