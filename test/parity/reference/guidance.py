"""Guidance techniques straight from their papers' equations, and sampling with diffusers' samplers.

Options have the names of `pipeline.generate`'s, with every value given. Nothing of the plan that
the library makes is used here but what it draws at random: S2's layers in each step ("drawn") and
the controls' channels or tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from architectures import Subject
from edits import Edit, captured, edited
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


@dataclass
class Change:
    """TeaCache's measure, arXiv 2411.19108: how far a hidden state has moved since a branch was
    evaluated, relative L1, summed up step by step."""

    previous: Tensor | None = None
    last: float = 0.0
    accumulated: float = 0.0

    def observe(self, hidden: Tensor, evaluated: bool) -> None:
        if self.previous is not None:
            moved = (hidden - self.previous).abs().mean() / self.previous.abs().mean()
            self.last = moved.item()
            self.accumulated += self.last
        if evaluated:
            self.accumulated = 0.0
        self.previous = hidden


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
        self.evaluations = 0
        self.last_evaluation = -1  # set by `sample`
        self.differences: dict[str, Tensor] = {}
        self.changes: dict[str, Change] = {}
        self.source: Tensor | None = None
        self.recorded: Sequence[dict[str, Any]] = ()  # sites, as `captured` takes them
        self.records: dict[str, Tensor] = {}

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
        self.evaluations += len(sample)
        found: dict[str, Tensor] = {}
        # The capture is the later hook: it sees what the edits leave.
        with edited(self.subject, edits, evaluation), captured(self.subject, self.recorded, found):
            output = self.subject.module(sample, time, *given)[:, : sample.shape[1]]
        branch = "unconditional" if null else "edited" if edits else "conditional"
        for name, value in found.items():
            self.records[f"{evaluation}.{branch}.{name}"] = value
        return output

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
                # The text's attention stays as it is, as in diffusers' PAGJointAttnProcessor2_0.
                edit = {"tap": "attention", "operation": "identity", "image_only": True}
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

    def reused(self, key: str, options: Options, evaluation: int, step: int) -> bool:
        """Whether the difference of an earlier step stands in for this one's."""
        reuse = options.get("reuse", 1)
        if isinstance(reuse, dict):
            change = self.changes.setdefault(key, Change())
            near = 0 < change.last and change.accumulated + change.last < reuse["threshold"]
            return key in self.differences and near and evaluation != self.last_evaluation
        active = [each for each in range(self.steps) if inside(options, each, self.steps)]
        return step != active[-1] and active.index(step) % reuse != 0

    def difference(
        self, key: str, options: Options, evaluation: int, step: int, compute: Callable[[], Tensor]
    ) -> Tensor:
        """D(c) less another branch, of this step or of an earlier one."""
        kept = self.reused(key, options, evaluation, step)
        if not kept:
            self.differences[key] = compute()
        if isinstance(options.get("reuse"), dict):
            self.changes[key].observe(self.measured, not kept)
        return self.differences[key]

    def measure(self) -> Any:
        """Keeps what the first block's attention is given, which TeaCache measures."""
        path = self.attentions(0)[0]
        module = self.subject.module.get_submodule(path)

        def hook(_module: Any, args: tuple, kwargs: dict) -> None:
            self.measured = (args[0] if args else kwargs["hidden_states"]).clone()

        return module.register_forward_pre_hook(hook, with_kwargs=True)

    def own_edits(self, given: Sequence[Options], time: float) -> list[Edit]:
        """Edits of a branch of one's own, from the form that `generate` takes."""
        edits = []
        for each in given:
            edit = {"channels": each.get("channels"), "tokens": self.tokens(each.get("tokens"))}
            operation = each["operation"]
            edit["operation"] = "retain" if operation == "zero" else operation
            edit["retention"] = [retention_at(each.get("retention", 0), time)]
            for name in ("scale", "shift"):
                if name in each and each[name] is not None:
                    count = len(each["channels"])
                    value = each[name]
                    edit[name] = value if isinstance(value, list) else [value] * count
            edit |= {"seed": each.get("seed", 0), "reference": each.get("reference")}
            edit |= {"grid": self.subject.grid, "sigma": each.get("sigma", 1)}
            edit["source"] = self.source
            for layer in listed(each["layer"]):
                if operation == "identity":
                    edits += [
                        {**edit, "path": path, "tap": "attention"}
                        for path in self.attentions(layer)
                    ]
                else:
                    edits.append({**edit, **self.layer(layer, "image")})
        return edits

    def start(self, conditional: Tensor, sample, timestep, time, evaluation, step) -> Tensor:
        """What guidance adds to: D(c), or branches of one's own."""
        if "branches" not in self.options:
            return conditional
        total = torch.zeros_like(conditional)
        for branch in self.options["branches"]:
            if inside(branch, step, self.steps):
                edits = self.own_edits(branch.get("edits", []), time)
                null = branch.get("conditioning") == "unconditional"
                part = self.predict(sample, timestep, evaluation, edits, null=null)
                total = total + branch["weight"] * part
        return total

    def classifier_free(self, conditional: Tensor, sample, timestep, evaluation, step) -> Tensor:
        """What classifier-free guidance adds to D(c), with what APG and CFG-Zero* make of it."""
        cfg = self.options.get("classifierFree")
        if not cfg or not inside(cfg, step, self.steps) or cfg["scale"] == 1:
            return torch.zeros_like(conditional)

        def compute() -> Tensor:
            return conditional - self.predict(sample, timestep, evaluation, null=True)

        difference = self.difference("classifierFree", cfg, evaluation, step, compute)
        unconditional = conditional - difference
        apg, zero_star = self.options.get("apg"), self.options.get("cfgZeroStar")
        if apg and inside(apg, step, self.steps):
            return (cfg["scale"] - 1) * self.projected(conditional, unconditional, apg)
        if zero_star and inside(zero_star, step, self.steps):
            c, u = conditional.flatten(1), unconditional.flatten(1)
            alpha = (c * u).sum(1) / (u.square().sum(1) + 1e-8)
            scaled = alpha[:, None, None, None] * unconditional
            return scaled + cfg["scale"] * (conditional - scaled) - conditional
        return (cfg["scale"] - 1) * difference

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
        handle = self.measure()
        conditional = self.predict(sample, timestep, evaluation)
        handle.remove()
        guided = self.start(conditional, sample, timestep, time, evaluation, step)
        disrupt = self.options.get("disrupt")
        if disrupt and inside(disrupt, step, self.steps):
            guided = self.predict(sample, timestep, evaluation, self.deficient(disrupt, time))
        guided = guided + self.classifier_free(conditional, sample, timestep, evaluation, step)
        for index, (name, edits, options) in enumerate(self.degraded(time, evaluation)):
            if inside(options, step, self.steps):

                def compute(edits: Sequence[Edit] = edits) -> Tensor:
                    return conditional - self.predict(sample, timestep, evaluation, edits)

                key = f"{name} {index}"
                difference = self.difference(key, options, evaluation, step, compute)
                guided = guided + options["scale"] * difference
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
def sample(
    subject: Subject, request: dict[str, Any], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """A whole run with one of diffusers' schedulers. tensors: "latents", the conditioning by input
    name, and the unconditional one as "negative.<name>" where it differs. Every image on its own:
    some of what is decided on the way depends on the image."""
    batched = {each["name"] for each in subject.inputs if each["shape"][0] == "batch"} | {"latents"}
    parts = [
        sample_one(
            subject,
            request | {"seed": request.get("seed", 0) + index},
            {
                name: value[index : index + 1]
                if name.removeprefix("negative.") in batched
                else value
                for name, value in tensors.items()
            },
        )
        for index in range(len(tensors["latents"]))
    ]
    latents, evaluations, records = zip(*parts, strict=True)
    answer = {"latents": torch.cat(latents), "evaluations": torch.tensor([sum(evaluations)])}
    for image, found in enumerate(records):
        for name, value in found.items():
            if ".mass." in name:
                answer[f"{image}.{name}"] = value[0]
                continue
            hidden = joined(value)[0]
            answer[f"{image}.{name}"] = hidden
            answer[f"{image}.{name}.statistics"] = channel_statistics(hidden)
    return answer


def joined(value: Tensor) -> Tensor:
    """[rows, tokens, channels]; attention's heads one after the other."""
    return value.transpose(1, 2).flatten(2) if value.dim() == 4 else value


def channel_statistics(hidden: Tensor) -> Tensor:
    """[5, channels] of a hidden state [tokens, channels], in float64: max, mean, median and 99th
    percentile of its magnitude, and its variance."""
    z = hidden.double()
    magnitude = z.abs()
    rows = [magnitude.amax(0), magnitude.mean(0), magnitude.quantile(0.5, 0)]
    rows += [magnitude.quantile(0.99, 0), z.var(0, unbiased=False)]
    return torch.stack(rows)


def sample_one(
    subject: Subject, request: dict[str, Any], tensors: dict[str, Tensor]
) -> tuple[Tensor, int, dict[str, Tensor]]:
    """One image, how many evaluations of the model it took, and what was recorded on the way:
    `<evaluation>.<branch>.capture.<k>` for the k-th site of `record`."""
    names = [each["name"] for each in subject.inputs if each["role"] not in ("latent", "timestep")]
    conditional = [tensors[name] for name in names]
    unconditional = [tensors.get(f"negative.{name}", tensors[name]) for name in names]
    steps = request["steps"]
    guided = Guided(subject, request["guidance"], conditional, unconditional, steps)
    guided.source = tensors.get("source")
    guided.recorded = request.get("record", ())
    choice = request["scheduler"]
    scheduler = getattr(diffusers, choice["class"])(**choice.get("config", {}))
    if choice.get("trailing"):
        scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
    else:
        scheduler.set_timesteps(steps)
    guided.last_evaluation = len(scheduler.timesteps) - 1
    # As a diffusers pipeline draws them: the latents first, then every step's noise.
    generator = torch.Generator().manual_seed(request["seed"])
    torch.randn(tensors["latents"].shape, generator=generator)
    extra = {"eta": choice["eta"], "generator": generator} if "eta" in choice else {}
    x = tensors["latents"]
    if choice.get("scaled"):
        x = x * scheduler.init_noise_sigma
    for evaluation, timestep in enumerate(scheduler.timesteps):
        given = scheduler.scale_model_input(x, timestep) if choice.get("scaled") else x
        share = timestep.item() / 1000
        time = choice["timestepScale"] * share if "timestepScale" in choice else timestep.item()
        step = evaluation if not choice.get("heun") else (evaluation + 1) // 2
        output = guided(given, time, share, evaluation, step)
        x = scheduler.step(output, timestep, x, return_dict=False, **extra)[0]
    return x, guided.evaluations, guided.records
