"""CFG + DG in plain PyTorch, as one writes it without detail-guidance: the peers of the benchmark.

Rows of a step: conditional, unconditional, detail-deficient. A mode is a function from latents,
timesteps [rows] and conditioning, a row each, to predictions of three rows. The models have their
stages as begin, step and end (bench/class_transformer.py, bench/joint_transformer.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Evaluate = Callable[..., Tensor]

DEFICIENT = 2  # the row that is disrupted


def eager(model: nn.Module, layer: int, channels: Sequence[int]) -> Evaluate:
    """Three rows through the module; a forward hook disrupts the last one."""
    block = model.blocks[layer]
    index = torch.tensor(list(channels), device=next(model.parameters()).device)

    def disrupt(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        if not hidden.is_contiguous():  # a part of a joined stream
            hidden = hidden.clone()
        hidden[DEFICIENT, :, index] = 0  # a fresh tensor, the block's own sum: no copy is needed
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def evaluate(*inputs: Tensor) -> Tensor:
        handle = block.register_forward_hook(disrupt)
        try:
            return model(*inputs)
        finally:
            handle.remove()

    return evaluate


class Step(nn.Module):
    """The model written out, with the disruption in it, for torch.compile.

    With `cut`, two rows go through the blocks up to and with `layer`, and three through the rest:
    what one can do by hand for the prefix that two branches share.
    """

    def __init__(self, model: nn.Module, layer: int, channels: Sequence[int], cut: bool) -> None:
        super().__init__()
        self.model, self.layer, self.cut = model, layer, cut
        weight = next(model.parameters())
        keep = torch.ones(3, 1, model.config.width, dtype=weight.dtype, device=weight.device)
        keep[DEFICIENT, :, list(channels)] = 0
        self.keep = nn.Buffer(keep)

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.cut:
            inputs = tuple(each[:DEFICIENT] for each in inputs)
        state, shared = self.model.begin(*inputs)
        for index, block in enumerate(self.model.blocks):
            state = self.model.step(block, state, shared)
            if index == self.layer:
                if self.cut:
                    state = tuple(torch.cat([each, each[:1]]) for each in state)
                state = (state[0] * self.keep, *state[1:])
        return self.model.end(state, inputs[0])


def sample(
    evaluate: Evaluate,
    latents: Tensor,
    conditioning: Sequence[Tensor],
    steps: int,
    cfg_scale: float,
    detail_scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """A whole image by flow-matching Euler; latents, sum and state in float32.

    D = D(c) + (s - 1)(D(c) - D(null)) + w (D(c) - D_m(c)), s: cfg_scale, w: detail_scale.
    conditioning: three rows each, already on the device.
    """
    weights = torch.tensor(
        [cfg_scale + detail_scale, 1 - cfg_scale, -detail_scale], device=latents.device
    ).view(3, 1, 1, 1)
    x = latents
    for step in range(steps):
        timestep = torch.full((3,), 1 - step / steps, device=latents.device)
        rows = x.to(dtype).expand(3, -1, -1, -1).contiguous()
        predictions = evaluate(rows, timestep, *conditioning)
        x = x - (predictions.float() * weights).sum(0, keepdim=True) / steps
    return x.cpu()
