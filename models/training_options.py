"""What decides a training run's result, besides the data and the model's geometry."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any

from models.command_line import number, whole


def option(default: Any, help: str, kind: Callable = str, choices: tuple = ()) -> Any:
    """A field and its option on the command line."""
    metadata = {"help": help} | ({"choices": choices} if choices else {"type": kind})
    return dataclasses.field(default=default, metadata=metadata)


FINITE = sys.float_info.max


@dataclasses.dataclass
class TrainingOptions:
    """Those of the command line of `python -m models.train`."""

    steps: int = option(1_000_000, "after which it ends", whole(1))
    minutes: float = option(math.inf, "after which it ends", number(above=0))
    batch_size: int = option(128, "pictures of a step", whole(1))
    learning_rate: float = option(1e-3, "the highest", number(above=0, most=FINITE))
    warmup_steps: int = option(500, "until the learning rate is reached", whole(1))
    weight_decay: float = option(0.01, "of AdamW", number(0, FINITE))
    label_dropout: float = option(0.1, "share of the labels that are left out", number(0, 1))
    ema_decay: float = option(0.9995, "of the average of the weights", number(0, 1))
    mirror: bool = option(True, "half of the garments that look alike both ways", bool)
    seed: int = option(0, "of all that is random", int)
    device: str = option("cpu", "of PyTorch")
    precision: str = option(
        "auto", "auto: bfloat16 on a GPU", choices=("auto", "bfloat16", "float32")
    )
    compile: str = option("auto", "auto: on a GPU", choices=("auto", "yes", "no"))
    save_every: int = option(300, "steps between checkpoints", whole(1))
    report_every: int = option(50, "steps between reports of the loss", whole(1))

    def learning_rate_at(self, step: int, seconds: float) -> float:
        """Linear warm-up, then cosine decay to zero over the run's steps or its minutes."""
        progress = min(1.0, max(step / self.steps, seconds / 60 / self.minutes))
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))

    def decay_at(self, step: int) -> float:
        """Of the average of the weights: short at first, so that it leaves the beginning behind."""
        return min(self.ema_decay, (1 + step) / (10 + step))
