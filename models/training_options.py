"""What decides a training run's result, besides the data and the model's geometry."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass
class TrainingOptions:
    """Those of the command line of `python -m models.train`."""

    steps: int = 1_000_000
    minutes: float = math.inf
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 500
    weight_decay: float = 0.01
    label_dropout: float = 0.1
    ema_decay: float = 0.9995
    mirror: bool = True  # half of the garments that look alike both ways
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"  # bfloat16 or float32; auto: bfloat16 on a GPU
    compile: str = "auto"  # yes or no; auto: on a GPU
    save_every: int = 300  # steps
    report_every: int = 50  # steps

    def learning_rate_at(self, step: int, seconds: float) -> float:
        """Linear warm-up, then cosine decay to zero over the run's steps or its minutes."""
        progress = min(1.0, max(step / self.steps, seconds / 60 / self.minutes))
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * progress))

    def decay_at(self, step: int) -> float:
        """Of the average of the weights: short at first, so that it leaves the beginning behind."""
        return min(self.ema_decay, (1 + step) / (10 + step))
