"""Watch massive activations while a model is trained: what is measured at a checkpoint.

Strength by block and timestep and the massive channels by the rule of `massive_activations.py`, what
explains the magnitude (C3), whether the channels are those of the residual gates (C2), what
disrupting them does to the picture beside what as many others do that move it as much (C4), and how
good the pictures are without and with classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.guided_sampling import (
    Branch,
    Edit,
    flow_sigmas,
    guidance_branches,
    sample,
    seeded_latents,
)
from models.massive_activations import (
    FALLBACK_CHANNELS,
    Statistics,
    massive_channels,
    measure,
    rounded,
    stability,
    strengths,
    strongest_channels,
)
from models.picture_quality import Judge, high_shares, signal_to_noise

SCALES = (1.0, 2.0, 4.0)
STEPS = 20
DISRUPTED_STEPS = 10


class Stopped(Exception):
    """A measurement was told to stop: it has no result."""


@contextmanager
def stoppable(model: nn.Module, stopped: Callable[[], bool]) -> Iterator[None]:
    """Within, the model raises Stopped before the first batch that comes after `stopped` is true."""

    def check(module: nn.Module, inputs: tuple) -> None:
        if stopped():
            raise Stopped

    handle = model.register_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class MatchedEdit:
    """Control: `channels` shrink so that |dz| at every token is that of zeroing `reference`."""

    layer: int
    channels: Sequence[int]
    reference: Sequence[int]

    def apply(self, hidden: Tensor, step: int = 0) -> Tensor:
        """hidden: [B, N, C], left as it is; returns the disrupted copy."""
        wanted = hidden[..., list(self.reference)].norm(dim=-1, keepdim=True)
        present = hidden[..., list(self.channels)]
        moved = hidden.clone()
        norm = present.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        moved[..., list(self.channels)] = present - present * (wanted / norm)
        return moved


def matched_channels(means: Tensor, disrupted: Sequence[int]) -> list[int]:
    """As many others, drawn from the middle half of the ranking. means: [T, C] of the block."""
    ranked = strongest_channels(means, means.shape[1])
    middle = ranked[len(ranked) // 4 : -(-len(ranked) * 3 // 4)]
    others = sorted(set(middle) - set(disrupted))
    order = torch.randperm(len(others), generator=torch.Generator().manual_seed(0))
    return [others[i] for i in order[: len(disrupted)].tolist()]


def explained(values: Tensor, statistics: Statistics) -> dict[str, float]:
    """Shares of the variance that the means by timestep, class and seed explain. values: [T, G]."""
    total = (values - values.mean()).square().mean()

    def share(means: Tensor) -> float:
        return round((means.var(correction=0) / total).item(), 4) if total > 0 else 0.0

    def by(keys: Sequence[int]) -> Tensor:
        groups = torch.tensor(keys)
        return torch.stack([values[:, groups == key].mean() for key in sorted(set(keys))])

    return {
        "timestep": share(values.mean(1)),
        "class": share(by(statistics.classes)),
        "seed": share(by(statistics.seeds)),
    }


@torch.inference_mode()
def gate_means(model: nn.Module, timesteps: Sequence[float], classes: int) -> Tensor:
    """Mean |gate| of attention and MLP over classes and timesteps: [K, 2, C]."""
    device = next(model.parameters()).device
    labels = torch.arange(classes, device=device)
    gates: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        _, _, gate1, _, _, gate2 = output.chunk(6, dim=1)
        gates.append(torch.stack([gate1, gate2]).abs().mean(1))

    handles = [block.modulation.register_forward_hook(record) for block in model.blocks]
    size, channels = model.config.image_size, model.config.image_channels
    x = torch.zeros(classes, channels, size, size, device=device)
    try:
        for timestep in timesteps:
            model(x, torch.full((classes,), timestep, device=device), labels)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(gates).unflatten(0, (len(timesteps), -1)).mean(0).cpu()


def channels_by_block(model: nn.Module, statistics: Statistics) -> list[dict]:
    """What `measure` found, a record for each block."""
    gates = gate_means(model, statistics.timesteps, len(set(statistics.classes)))
    blocks = []
    for layer, groups in enumerate(statistics.means):
        means = groups.mean(1)
        massive = massive_channels(means)
        disrupted = massive or strongest_channels(means, FALLBACK_CHANNELS)
        top = strongest_channels(means, 8)
        shared = []
        for gate in gates[layer]:
            spikes = set(gate.argsort(descending=True)[: len(disrupted)].tolist())
            shared.append(round(len(spikes & set(disrupted)) / len(disrupted), 3))
        blocks.append(
            {
                "layer": layer,
                "massive": massive,
                "disrupted": disrupted,
                "strongest": top,
                "strongestStrength": rounded(strengths(means).mean(0)[top]),
                # By timestep, from 1 downwards.
                "strength": rounded(strengths(means).amax(1)),
                "magnitude": rounded(means[:, disrupted].mean(1)),
                "median": rounded(statistics.medians[layer]),
                "explained": explained(groups[..., disrupted].mean(-1), statistics),
                "acrossClasses": round(stability(groups, statistics.classes, len(disrupted)), 4),
                "acrossSeeds": round(stability(groups, statistics.seeds, len(disrupted)), 4),
                "gateOverlap": {"attention": shared[0], "mlp": shared[1]},
            }
        )
    return blocks


@dataclass
class Sampler:
    """Samples of a model, classes in turn, from seeds 0, 1, 2, ...: not clamped."""

    model: nn.Module
    count: int
    batch_size: int = 1000

    def __post_init__(self) -> None:
        config, self.device = self.model.config, next(self.model.parameters()).device
        shape = (config.image_channels, config.image_size, config.image_size)
        self.latents = seeded_latents(range(self.count), shape).to(self.device)
        self.labels = torch.arange(self.count, device=self.device) % config.num_classes

    def samples(self, branches: list[Branch], steps: int, count: int | None = None) -> Tensor:
        """The first `count`, [count, 1, 28, 28]."""
        parts = zip(
            self.latents[:count].split(self.batch_size),
            self.labels[:count].split(self.batch_size),
            strict=True,
        )
        null, sigmas = self.model.config.null_class, flow_sigmas(steps)
        return torch.cat(
            [sample(self.model, x, labels, null, sigmas, branches) for x, labels in parts]
        )


def disruption(
    sampler: Sampler, judge: Judge, block: dict, means: Tensor, undisturbed: Tensor
) -> dict:
    """What the disruption of one block does to the pictures of the conditional model alone."""
    layer, channels, count = block["layer"], block["disrupted"], len(undisturbed)
    labels = sampler.labels[:count]
    edits = {
        "massive": Edit(layer, channels),
        "matched": MatchedEdit(layer, matched_channels(means, channels), channels),
    }
    result = {}
    for name, edit in edits.items():
        pictures = sampler.samples([Branch(1.0, edits=(edit,))], DISRUPTED_STEPS, count)
        pictures = pictures.clamp(-1, 1)
        low, high = signal_to_noise(pictures, undisturbed)
        ratio = high_shares(pictures).mean() / high_shares(undisturbed).mean()
        light = (pictures + 1).mean() / (undisturbed + 1).mean()
        result[name] = {
            "high": round(ratio.item(), 4),
            "luminance": round(light.item(), 4),
            "recognised": round(judge.recognised(pictures, labels).float().mean().item(), 4),
            "snrLow": round(low, 2),
            "snrHigh": round(high, 2),
        }
    return result


@torch.inference_mode()
def squared_errors(model: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Mean squared error of v on real test images at t = 0.05, 0.15, ..., from fixed noise."""
    device = next(model.parameters()).device
    images, labels = images.to(device), labels.to(device)
    noise = seeded_latents(range(len(images)), images.shape[1:]).to(device)
    errors = []
    for tenth in range(10):
        t = 0.05 + tenth / 10
        timestep = torch.full((len(images),), t, device=device)
        prediction = model((1 - t) * images + t * noise, timestep, labels)
        errors.append(round((prediction - noise + images).square().mean().item(), 5))
    return errors


def measure_checkpoint(
    model: nn.Module,
    judge: Judge,
    test: tuple[Tensor, Tensor],
    samples: int,
    disrupted_samples: int,
    seeds: Sequence[int] = range(4),
) -> tuple[dict, Tensor]:
    """The record of one checkpoint and a few pictures of it, [rows, 10, 1, 28, 28] in [-1, 1].

    test: real images and labels that were not trained on. The rows: conditional, conditional with
    the block before the last third disrupted, and the guided ones of SCALES.
    """
    config = model.config
    shape = (config.image_channels, config.image_size, config.image_size)
    statistics = measure(model, shape, config.num_classes, seeds)
    blocks = channels_by_block(model, statistics)
    sampler = Sampler(model, samples)
    quality, rows = [], []
    for scale in SCALES:
        pictures = sampler.samples(guidance_branches(scale), STEPS)
        quality.append({"scale": scale, **judge.report(pictures, sampler.labels)})
        rows.append(pictures[: config.num_classes].clamp(-1, 1).cpu())
    count = min(samples, disrupted_samples)
    undisturbed = sampler.samples([Branch(1.0)], DISRUPTED_STEPS, count).clamp(-1, 1)
    for block, groups in zip(blocks, statistics.means, strict=True):
        block["disruption"] = disruption(sampler, judge, block, groups.mean(1), undisturbed)
    shown = blocks[shown_layer(config.depth)]
    edit = Edit(shown["layer"], shown["disrupted"])
    branches = [Branch(1.0, edits=(edit,))]
    rows.insert(1, sampler.samples(branches, STEPS, config.num_classes).clamp(-1, 1).cpu())
    record = {
        "timesteps": rounded(torch.tensor(statistics.timesteps)),
        "squaredErrors": squared_errors(model, *test),
        "quality": quality,
        "blocks": blocks,
    }
    return record, torch.stack(rows)


def shown_layer(depth: int) -> int:
    """Of 8 blocks layer 5, where the embedded bundle's guidance disrupts."""
    return min(depth - 1, round(depth * 5 / 8))


def growth_steps(last: int, points_per_doubling: float, first: int = 100) -> set[int]:
    """0, `first`, and on at even ratios up to `last`."""
    steps, at = {0}, 0
    while (step := round(first * 2 ** (at / points_per_doubling))) <= last:
        steps.add(step)
        at += 1
    return steps
