"""Guidance techniques straight from their papers' equations, and sampling with diffusers' samplers.

Options have the names of `pipeline.generate`'s, with every value given. Nothing of the plan that
the library makes is used here but what it draws at random: S2's layers in each step ("drawn") and
the controls' channels or tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import diffusers
import torch
from architectures import Subject
from edits import Edit, edited
from torch import Tensor

Options = dict[str, Any]


def inside(options: Options, step: int, steps: int) -> bool:
    return options.get("start", 0) <= step / steps < options.get("stop", 1)


def retention_at(retention: Any, time: float) -> float:
    """rho at the position t between data (0) and noise (1)."""
    if not isinstance(retention, dict):
        return retention
    if retention["kind"] == "table":
        pairs = list(zip(retention["times"], retention["values"], strict=True))
        if time <= pairs[0][0]:
            return pairs[0][1]
        for (left, low), (right, high) in zip(pairs, pairs[1:], strict=False):
            if time <= right:
                return low + (time - left) / (right - left) * (high - low)
        return pairs[-1][1]
    share = time if retention["kind"] == "linear" else 0.5 - 0.5 * math.cos(math.pi * time)
    return (1 - share) * retention["data"] + share * retention["noise"]


def listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


class Guided:
    """D̂(x, t) for one sampling run; keeps APG's running average between its steps."""

    def __init__(
        self,
        subject: Subject,
        options: Options,
        conditional: Sequence[Tensor],
        unconditional: Sequence[Tensor] | None,
        steps: int,
    ) -> None:
        self.subject, self.options, self.steps = subject, options, steps
        self.conditional, self.unconditional = conditional, unconditional
        self.average: Tensor | None = None

    def predict(
        self,
        sample: Tensor,
        timestep: float,
        evaluation: int,
        edits: Sequence[Edit] = (),
        *,
        null=False,
    ) -> Tensor:
        """The plain prediction of one branch."""
        kind = next(each["dtype"] for each in self.subject.inputs if each["role"] == "timestep")
        dtype = torch.int64 if kind == "int64" else torch.float32
        time = torch.full((len(sample),), timestep, dtype=dtype)
        given = self.unconditional if null else self.conditional
        with edited(self.subject, edits, evaluation):
            return self.subject.module(sample, time, *given)[:, : sample.shape[1]]

    def layer(self, index: int, stream: str | None = None) -> Edit:
        return {"path": self.subject.layers[index], "tap": "output", "stream": stream}

    def tokens(self, chosen: Any) -> Any:
        """Token indices; a mask covers the tokens of which it covers at least half."""
        if chosen is None or not isinstance(chosen[0], list):
            return chosen
        mask = torch.tensor(chosen, dtype=torch.float64)[None, None]
        covered = torch.nn.functional.interpolate(mask, size=self.subject.grid, mode="area")
        return (covered.flatten() >= 0.5).nonzero().flatten().tolist()

    def attentions(self, layer: int) -> list[str]:
        """Paths of the attentions in a block, which are modules called attn*, attn1 or attention."""
        path = self.subject.layers[layer]
        block = self.subject.module.get_submodule(path)
        names = [name for name, _ in block.named_children() if name.startswith("att")]
        return [f"{path}.{name}" for name in names if getattr(block, name) is not None]

    def deficient(self, options: Options, time: float) -> list[Edit]:
        """The disruptions of D_m."""
        edits = []
        for layer in listed(options["layer"]):
            edit = {
                **self.layer(layer, options.get("stream", "image")),
                "operation": "retain",
                "channels": options["channels"],
                "tokens": self.tokens(options.get("tokens")),
                "retention": [retention_at(options.get("retention", 0), time)],
            }
            control = options.get("control")
            if control and control["kind"] == "matched-channels":
                edit |= {
                    "operation": "match",
                    "channels": control["drawn"],
                    "reference": options["channels"],
                }
            elif control:
                edit["tokens"] = control["drawn"]
            edits.append(edit)
        return edits

    def skipped(self, layers: Sequence[int]) -> list[Edit]:
        return [
            {**self.layer(layer, stream), "operation": "skip"}
            for layer in layers
            for stream in self.streams_of(layer)
        ]

    def streams_of(self, layer: int) -> Sequence[str]:
        """Those that somebody uses: the last block's text is dropped, or is no tensor at all."""
        last = len(self.subject.layers) - 1
        return self.subject.streams if layer != last else ("image",)

    def degraded(self, time: float, evaluation: int) -> list[tuple[str, list[Edit], Options]]:
        """(technique, edits, its options) for every degraded branch."""
        found = []
        for name, options in self.options.items():
            if name == "detail":
                found += [(name, self.deficient(each, time), each) for each in listed(options)]
            elif name == "slg":
                found.append((name, self.skipped(options["layers"]), options))
            elif name == "s2":
                found.append((name, self.skipped(options["drawn"][evaluation]), options))
            elif name in ("pag", "seg"):
                edit = {"tap": "attention", "operation": "identity"}
                if name == "seg":
                    sigma = options.get("sigma")
                    edit |= {"operation": "blur", "sigma": sigma, "grid": self.subject.grid}
                paths = [path for layer in options["layers"] for path in self.attentions(layer)]
                found.append((name, [{**edit, "path": path} for path in paths], options))
            elif name == "tpg":
                edits = [
                    {
                        **self.layer(layer, "image"),
                        "operation": "shuffle",
                        "seed": options["seed"] + layer,
                    }
                    for layer in options["layers"]
                ]
                found.append((name, edits, options))
            elif name == "blur":
                edit = {
                    **self.layer(options["layer"], "image"),
                    "operation": "blur",
                    "sigma": options["sigma"],
                    "grid": self.subject.grid,
                }
                found.append((name, [edit], options))
        return found

    def classifier_free(self, conditional: Tensor, sample, timestep, evaluation, step) -> Tensor:
        """What classifier-free guidance adds to D(c), with what APG and CFG-Zero* make of it."""
        cfg = self.options.get("classifierFree")
        if not cfg or not inside(cfg, step, self.steps) or cfg["scale"] == 1:
            return torch.zeros_like(conditional)
        unconditional = self.predict(sample, timestep, evaluation, null=True)
        apg, zero_star = self.options.get("apg"), self.options.get("cfgZeroStar")
        if apg and inside(apg, step, self.steps):
            return (cfg["scale"] - 1) * self.projected(conditional, unconditional, apg)
        if zero_star and inside(zero_star, step, self.steps):
            c, u = conditional.flatten(1), unconditional.flatten(1)
            alpha = (c * u).sum(1) / (u.square().sum(1) + 1e-8)
            scaled = alpha[:, None, None, None] * unconditional
            return scaled + cfg["scale"] * (conditional - scaled) - conditional
        return (cfg["scale"] - 1) * (conditional - unconditional)

    def projected(self, conditional: Tensor, unconditional: Tensor, apg: Options) -> Tensor:
        """APG's direction, arXiv 2410.02416, algorithm 1; in float64 where the paper's code is."""
        difference = conditional - unconditional
        if self.average is not None:
            difference = difference + apg["momentum"] * self.average
        self.average = difference
        shape = (-1, 1, 1, 1)
        if apg["normThreshold"] > 0:
            norm = difference.flatten(1).norm(dim=1).view(shape)
            difference = difference * torch.minimum(torch.ones(1), apg["normThreshold"] / norm)
        direction = torch.nn.functional.normalize(conditional.double().flatten(1), dim=1)
        share = (difference.double().flatten(1) * direction).sum(1, keepdim=True)
        parallel = (share * direction).view_as(difference).float()
        return difference - parallel + apg["eta"] * parallel

    def __call__(self, sample: Tensor, timestep: float, time: float, evaluation: int, step: int):
        """D̂. time: position between data and noise; step: inference step of this evaluation."""
        conditional = self.predict(sample, timestep, evaluation)
        guided = conditional
        disrupt = self.options.get("disrupt")
        if disrupt and inside(disrupt, step, self.steps):
            guided = self.predict(sample, timestep, evaluation, self.deficient(disrupt, time))
        guided = guided + self.classifier_free(conditional, sample, timestep, evaluation, step)
        for _, edits, options in self.degraded(time, evaluation):
            if inside(options, step, self.steps):
                worse = self.predict(sample, timestep, evaluation, edits)
                guided = guided + options["scale"] * (conditional - worse)
        rescale = self.options.get("rescale")
        zero_star = self.options.get("cfgZeroStar")
        if zero_star and step < zero_star["zeroSteps"]:
            return torch.zeros_like(guided)
        if rescale and inside(rescale, step, self.steps):
            ratio = conditional.flatten(1).std(1) / guided.flatten(1).std(1)
            matched = guided * ratio[:, None, None, None]
            guided = rescale["factor"] * matched + (1 - rescale["factor"]) * guided
        return guided


@torch.inference_mode()
def sample(subject: Subject, request: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    """A whole run with one of diffusers' schedulers. tensors: "latents", the conditioning by input
    name, and the unconditional one as "negative.<name>" where it differs."""
    names = [each["name"] for each in subject.inputs if each["role"] not in ("latent", "timestep")]
    conditional = [tensors[name] for name in names]
    unconditional = [tensors.get(f"negative.{name}", tensors[name]) for name in names]
    steps = request["steps"]
    guided = Guided(subject, request["guidance"], conditional, unconditional, steps)
    choice = request["scheduler"]
    scheduler = getattr(diffusers, choice["class"])(**choice.get("config", {}))
    if choice.get("trailing"):
        scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
    else:
        scheduler.set_timesteps(steps)
    x = (
        tensors["latents"] * scheduler.init_noise_sigma
        if choice.get("scaled")
        else tensors["latents"]
    )
    for evaluation, timestep in enumerate(scheduler.timesteps):
        given = scheduler.scale_model_input(x, timestep) if choice.get("scaled") else x
        share = timestep.item() / 1000
        time = choice["timestepScale"] * share if "timestepScale" in choice else timestep.item()
        step = evaluation if not choice.get("heun") else (evaluation + 1) // 2
        output = guided(given, time, share, evaluation, step)
        x = scheduler.step(output, timestep, x, return_dict=False)[0]
    return x
