"""Guided sampling in plain PyTorch: ordinary forward hooks, one pass per branch, Euler steps.

The reference for the native loop (which shares prefixes and batches branches): readable first.

Guidance is a list of branches and a weight for each; the guided prediction is D = sum_b w_b * D_b.
With s the usual scale of classifier-free guidance and w the scale of Detail Guidance (Gan et al.,
arXiv 2510.11538), D = s * D(c) + (1 - s) * D(null) + w * (D(c) - D_m(c)), where D_m is the model
whose hidden state after block m has its massive-activation channels disrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Edit:
    """z[tokens, channels] <- retention * z[tokens, channels] on the output of block `layer`.

    `channels` and `tokens` of None mean all; `retention` is one number, or one per step.
    """

    layer: int
    channels: Sequence[int] | None = None
    tokens: Sequence[int] | None = None
    retention: float | Sequence[float] = 0.0

    def apply(self, hidden: Tensor, step: int = 0) -> Tensor:
        """hidden: [B, N, C], left as it is; returns the disrupted copy."""
        retention = self.retention
        if isinstance(retention, Sequence):
            retention = retention[step]
        batch, tokens, channels = hidden.shape
        chosen_tokens = torch.zeros(tokens, dtype=torch.bool)
        chosen_tokens[slice(None) if self.tokens is None else list(self.tokens)] = True
        chosen_channels = torch.zeros(channels, dtype=torch.bool)
        chosen_channels[slice(None) if self.channels is None else list(self.channels)] = True
        chosen = chosen_tokens[:, None] & chosen_channels
        return torch.where(chosen.to(hidden.device), hidden * retention, hidden)


@dataclass(frozen=True)
class Branch:
    """One evaluation of the model: its conditioning, its edits and its weight in the sum."""

    weight: float | Sequence[float]
    null: bool = False
    edits: Sequence[Edit] = ()

    def weight_at(self, step: int) -> float:
        return self.weight[step] if isinstance(self.weight, Sequence) else self.weight


@contextmanager
def disrupted(blocks: nn.ModuleList, edits: Sequence[Edit], step: int = 0) -> Iterator[None]:
    """Within, the outputs of the edits' blocks are disrupted, in the edits' order."""
    handles = [
        blocks[edit.layer].register_forward_hook(
            lambda module, inputs, output, edit=edit: edit.apply(output, step)
        )
        for edit in edits
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def flow_sigmas(steps: int) -> list[float]:
    """Noise levels 1, (n - 1) / n, ..., 1 / n and the final 0: n + 1 values, no shift."""
    return [1 - step / steps for step in range(steps)] + [0.0]


def guidance_branches(
    classifier_free_scale: float, detail_scale: float = 0.0, edit: Edit | None = None
) -> list[Branch]:
    """The branches of CFG + DG; those with weight 0 are left out."""
    branches = [Branch(classifier_free_scale + detail_scale)]
    if classifier_free_scale != 1:
        branches.append(Branch(1 - classifier_free_scale, null=True))
    if detail_scale != 0:
        if edit is None:
            raise ValueError("Detail Guidance needs the edit that makes the degraded branch")
        branches.append(Branch(-detail_scale, edits=(edit,)))
    return branches


@torch.inference_mode()
def sample(
    model: nn.Module,
    latents: Tensor,
    class_labels: Tensor,
    null_class: int,
    sigmas: Sequence[float],
    branches: Sequence[Branch],
) -> Tensor:
    """Euler's method for dx/dt = D from sigmas[0] to sigmas[-1].

    latents: [B, 1, H, W], noise at sigmas[0]; class_labels: [B] int64; sigmas: n + 1 descending
    values for n steps, fed to the model as its timestep. Returns the final latents.
    """
    null_labels = torch.full_like(class_labels, null_class)
    x = latents
    for step, (sigma, following) in enumerate(zip(sigmas[:-1], sigmas[1:], strict=True)):
        timestep = torch.full((len(x),), sigma, dtype=torch.float32, device=x.device)
        guided = torch.zeros_like(x)
        for branch in branches:
            weight = branch.weight_at(step)
            if weight == 0:
                continue
            with disrupted(model.blocks, branch.edits, step):
                labels = null_labels if branch.null else class_labels
                guided = guided + weight * model(x, timestep, labels)
        x = x + (following - sigma) * guided
    return x


def seeded_latents(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """One Gaussian per seed, [len(seeds), *shape] float32: an image does not depend on its batch."""
    noise = [torch.randn(1, *shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.cat(noise)
