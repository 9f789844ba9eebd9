"""Train the class-conditional DiT on Fashion-MNIST by flow matching.

    python -m models.train --minutes 75 --output build-models

Runs until `--steps` or `--minutes`, whichever comes first; the learning rate decays by cosine over
whichever fraction is further, so that a run always ends annealed. Every `--save-every` steps it
writes `<output>/transformer.ckpt`, and starts from it when it is there. A step draws its randomness
from (seed, step) alone: a resumed run does what an uninterrupted one would have done.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.checkpoint import load_checkpoint, save_checkpoint
from models.diffusion_transformer import PRESETS, DiffusionTransformer, TransformerConfig
from models.fashion_mnist import DEFAULT_FOLDER, load_split

CHECKPOINT = "transformer.ckpt"


@dataclasses.dataclass
class TrainingOptions:
    """Everything that decides a run's result, besides the data and the model's geometry."""

    steps: int = 1_000_000
    minutes: float = math.inf
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.01
    label_dropout: float = 0.1
    ema_decay: float = 0.999
    seed: int = 0
    save_every: int = 300
    device: str = "cpu"
    compile: bool = False


def learning_rate(options: TrainingOptions, step: int, seconds: float) -> float:
    """Linear warm-up, then cosine decay to zero over the run's steps or its minutes."""
    progress = min(1.0, max(step / options.steps, seconds / 60 / options.minutes))
    warmup = min(1.0, (step + 1) / options.warmup_steps)
    return options.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))


def flow_matching_loss(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    null_class: int,
    label_dropout: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of v at logit-normal t (Esser et al., arXiv 2403.03206, section 3.1).

    images: [B, 1, 28, 28] in [-1, 1]; labels: [B] int64, a share `label_dropout` of which becomes
    the null class (CFG, Ho & Salimans, arXiv 2207.12598). The generator lives on the CPU.
    """
    batch = images.shape[0]
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    t = torch.randn(batch, generator=generator).sigmoid().to(images.device)
    dropped = (torch.rand(batch, generator=generator) < label_dropout).to(images.device)
    mixture = t[:, None, None, None]
    prediction = model(
        (1 - mixture) * images + mixture * noise, t, labels.masked_fill(dropped, null_class)
    )
    return F.mse_loss(prediction.float(), noise - images)


@torch.no_grad()
def update_average(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Exponential moving average of the weights: average <- decay * average + (1 - decay) * w."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


def train(
    config: TransformerConfig,
    options: TrainingOptions,
    images: Tensor,
    labels: Tensor,
    checkpoint: Path,
) -> Iterator[tuple[int, float, float]]:
    """Train and save at `checkpoint`; yields (step, loss, seconds so far) after every step."""
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    model = DiffusionTransformer(config).to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=options.weight_decay
    )
    first, earlier = 0, 0.0
    if saved := load_checkpoint(checkpoint):
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, earlier = saved["step"], saved["seconds"]

    def save(step: int, seconds: float) -> None:
        state = {
            "config": dataclasses.asdict(config),
            "options": dataclasses.asdict(options),
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "seconds": seconds,
        }
        save_checkpoint(checkpoint, state)

    forward = torch.compile(model) if options.compile else model
    started = time.monotonic() - earlier
    seconds = earlier
    for step in range(first, options.steps):
        if seconds >= 60 * options.minutes:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options, step, seconds)
        generator = torch.Generator().manual_seed(options.seed * 1_000_003 + step)
        chosen = torch.randint(len(images), (options.batch_size,), generator=generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = flow_matching_loss(
                forward,
                images[chosen].to(device),
                labels[chosen].to(device),
                config.null_class,
                options.label_dropout,
                generator,
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        update_average(average, model, min(options.ema_decay, (1 + step) / (10 + step)))
        seconds = time.monotonic() - started
        last = step + 1 == options.steps or seconds >= 60 * options.minutes
        if last or (step + 1) % options.save_every == 0:
            save(step + 1, seconds)
        yield step + 1, loss.item(), seconds


def load_average(checkpoint: Path) -> tuple[DiffusionTransformer, dict]:
    """The averaged model of a run, in evaluation mode, and the run's record (step, seconds...)."""
    saved = load_checkpoint(checkpoint)
    if saved is None:
        raise FileNotFoundError(f"{checkpoint} not found: train first (python -m models.train)")
    model = DiffusionTransformer(TransformerConfig(**saved["config"]))
    model.load_state_dict(saved["average"])
    return model.eval().requires_grad_(False), saved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument("--output", type=Path, default=Path("build-models"))
    for field in dataclasses.fields(TrainingOptions):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)
    arguments = vars(parser.parse_args())
    config = PRESETS[arguments.pop("preset")]
    images, labels = load_split(arguments.pop("data"), "train")
    checkpoint = arguments.pop("output") / CHECKPOINT
    mean = None
    for step, loss, seconds in train(
        config, TrainingOptions(**arguments), images, labels, checkpoint
    ):
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if step % 50 == 0:
            print(f"step {step}  loss {mean:.4f}  {seconds / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
