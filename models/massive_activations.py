"""Measure a DiT's massive activations: channels of the residual stream that dwarf the others.

Sun et al. (arXiv 2402.17762) call an activation massive above 100 and a thousand times the median;
small models stay far below that, so the rule here is relative, per block and timestep:

    strength_i = mean over tokens and images of |z_i|, divided by its median over the channels;
    channel i is massive at (block, timestep) if strength_i >= THRESHOLD;
    channel i is massive in a block if it is so at half of the timesteps or more.

The hidden state z is a block's output (after the second residual add). It is recorded along the
model's own conditional sampling trajectories (Euler, no guidance), where guidance will meet it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.guided_sampling import flow_sigmas, seeded_latents

# The strongest channel of an untrained model reaches 1.4.
THRESHOLD = 3.0

# Where a block has no massive channel, so many of its strongest ones take their place.
FALLBACK_CHANNELS = 3

RULE = (
    "channel mean of |z| over tokens, relative to the median channel, at least "
    f"{THRESHOLD:g} at half of the timesteps or more (per block; conditional Euler trajectories)"
)


@dataclass(frozen=True)
class Statistics:
    """|z| after every block. K blocks, T timesteps, G groups (classes x seeds), C channels."""

    timesteps: list[float]
    means: Tensor  # [K, T, G, C], mean over tokens
    maxima: Tensor  # [K, T], over images, tokens and channels
    medians: Tensor  # [K, T], over images, tokens and channels
    classes: list[int]  # class of each group
    seeds: list[int]  # seed of each group


@torch.inference_mode()
def measure(
    model: nn.Module,
    latent_shape: Sequence[int],
    num_classes: int,
    seeds: Sequence[int] = (0, 1, 2, 3),
    steps: int = 10,
) -> Statistics:
    """One conditional trajectory of `steps` timesteps for every class and seed; on the CPU."""
    groups = list(itertools.product(range(num_classes), seeds))
    device = next(model.parameters()).device
    labels = torch.tensor([label for label, _ in groups], device=device)
    x = seeded_latents([seed for _, seed in groups], latent_shape).to(device)
    sigmas = flow_sigmas(steps)
    recorded: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda module, inputs, output: recorded.append(output.abs()))
        for block in model.blocks
    ]
    means, maxima, medians = [], [], []
    try:
        for sigma, following in itertools.pairwise(sigmas):
            recorded.clear()
            velocity = model(x, torch.full((len(x),), sigma, device=device), labels)
            means.append(torch.stack([z.mean(1) for z in recorded]))
            maxima.append(torch.stack([z.max() for z in recorded]))
            medians.append(torch.stack([z.median() for z in recorded]))
            x = x + (following - sigma) * velocity
    finally:
        for hook in hooks:
            hook.remove()
    return Statistics(
        timesteps=sigmas[:-1],
        means=torch.stack(means, dim=1).cpu(),
        maxima=torch.stack(maxima, dim=1).cpu(),
        medians=torch.stack(medians, dim=1).cpu(),
        classes=[label for label, _ in groups],
        seeds=[seed for _, seed in groups],
    )


def strengths(means: Tensor) -> Tensor:
    """Channel means [..., C] relative to their median channel."""
    return means / means.median(dim=-1, keepdim=True).values


def strongest_channels(means: Tensor, count: int) -> list[int]:
    """Channels of the largest strength averaged over timesteps. means: [T, C] of one block."""
    return strengths(means).mean(0).argsort(descending=True)[:count].tolist()


def massive_channels(means: Tensor, threshold: float = THRESHOLD) -> list[int]:
    """The massive channels of one block, strongest first. means: [T, C], one row a timestep."""
    massive = (strengths(means) >= threshold).float().mean(0) >= 0.5
    return [c for c in strongest_channels(means, means.shape[1]) if massive[c]]


def jaccard(sets: Sequence[Sequence[int]]) -> float:
    """Mean Jaccard index over the pairs of sets; two empty sets agree."""
    indices = []
    for one, other in itertools.combinations([set(each) for each in sets], 2):
        union = one | other
        indices.append(len(one & other) / len(union) if union else 1.0)
    return sum(indices) / len(indices) if indices else 1.0


def stability(means: Tensor, group_of: Sequence[int], count: int) -> float:
    """Do single classes (or seeds) have the same `count` strongest channels? 1 is always, 0 never.

    means: [T, G, C] of one block; group_of: G keys, the class (or the seed) of each group.
    """
    keys = torch.tensor(group_of)
    groups = [means[:, keys == key].mean(1) for key in sorted({*group_of})]
    return jaccard([strongest_channels(group, count) for group in groups])


def rounded(values: Tensor, digits: int = 4) -> list:
    """Nested lists of numbers of so many significant digits."""
    if values.dim() > 0:
        return [rounded(value, digits) for value in values]
    return float(f"{values.item():.{digits}g}")


def report(statistics: Statistics) -> dict:
    """The content of massive-activations.json: one record per block."""
    blocks = []
    for layer, means in enumerate(statistics.means):
        overall = means.mean(1)
        strength = strengths(overall)
        channels = massive_channels(overall)
        top = strongest_channels(overall, 8)
        blocks.append(
            {
                "layer": layer,
                "channels": channels,
                "stability": {
                    "acrossClasses": round(stability(means, statistics.classes, len(channels)), 4),
                    "acrossSeeds": round(stability(means, statistics.seeds, len(channels)), 4),
                },
                "maximum": rounded(statistics.maxima[layer]),
                "median": rounded(statistics.medians[layer]),
                "strongest": {
                    "channels": top,
                    "strength": rounded(strength[:, top]),
                },
                "channelMeans": rounded(overall),
            }
        )
    return {
        "rule": RULE,
        "threshold": THRESHOLD,
        "stream": "image",
        "timesteps": statistics.timesteps,
        "classes": sorted(set(statistics.classes)),
        "seeds": sorted(set(statistics.seeds)),
        "axes": {
            "maximum, median": "[timestep], of |z| over images, tokens and channels",
            "strongest.strength": "[timestep][strongest channel], relative to the median channel",
            "channelMeans": "[timestep][channel], mean of |z| over images and tokens",
            "stability": "mean Jaccard index, between single classes or seeds, of their "
            "strongest channels, as many as are massive overall",
        },
        "blocks": blocks,
    }
