"""Train the class-conditional DiT on Fashion-MNIST by flow matching, and watch it while it grows.

    nice -n 19 python -m models.train --minutes 600
    python -m models.train --device cuda --minutes 4 --report-every 200 --save-every 10000

Runs until `--steps` or `--minutes`, whichever comes first; the learning rate decays by cosine over
whichever fraction is further, so that a run always ends annealed. It can be stopped at any moment
(Ctrl-C and SIGTERM save first, a second one ends at once) and goes on from
`<output>/transformer.ckpt`; a measurement that was stopped is made again. A step draws its
randomness from (seed, step) alone: a resumed run does what an uninterrupted one would have done, but
for the rate where `--minutes` ends it, which follows the clock. Other options than it began with are
refused.

`--results` (default: the output folder) gets what is small: `log.jsonl`, a JSON record a line, with
the loss every `--report-every` steps, a record of `growth.py` at steps that grow by even ratios, and
the final evaluation; `average.ckpt`, the averaged weights alone; `samples.png`, rows for each of the
watched steps; `growth.ckpt`, those pictures; and with `--keep-averages` the averaged weights of each
of these steps in half precision, `averages/<step>.ckpt`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.checkpoint import load_checkpoint, save_checkpoint
from models.command_line import number, parser_of, run_command, whole
from models.diffusion_transformer import PRESETS, DiffusionTransformer, TransformerConfig
from models.fashion_mnist import DEFAULT_FOLDER, load_split
from models.training_options import TrainingOptions
from models.training_step import TrainingStep

CHECKPOINT = "transformer.ckpt"
AVERAGE = "average.ckpt"
AVERAGES = "averages"
# What a run that goes on may do otherwise.
OF_THE_RUN = {"steps", "minutes", "device", "precision", "compile", "save_every", "report_every"}


class Progress(NamedTuple):
    """Where a run is; `average` lives on the run's device and changes as it goes on."""

    step: int
    loss: float  # mean since the last report
    seconds: float
    learning_rate: float
    average: DiffusionTransformer
    ended: bool


def refuse_other(
    saved: dict[str, Any], config: TransformerConfig, options: TrainingOptions
) -> None:
    """Raise ValueError where a checkpoint is of another training: it would go on as neither."""
    for was, now in (("config", config), ("options", options)):
        before, after = saved[was], dataclasses.asdict(now)
        differing = [
            f"{key}: {before[key]} there, {value} asked for"
            for key, value in after.items()
            if key not in OF_THE_RUN and key in before and before[key] != value
        ]
        if differing:
            raise ValueError(
                f"The checkpoint is of another training ({'; '.join(differing)}): expected the same options, "
                "or another --output."
            )


def train(
    config: TransformerConfig,
    options: TrainingOptions,
    images: Tensor,
    labels: Tensor,
    checkpoint: Path,
    watched: frozenset[int] = frozenset(),
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Train, and save at `checkpoint`.

    Yields every `report_every` steps, at the steps `watched` (0: before the first one), and last; at
    a watched one again where it goes on from there, since what was done then may have been stopped.
    When `stopped` is true it saves and ends, the run being unfinished.
    """
    started = time.monotonic()
    training = TrainingStep(config, options, images, labels)
    step = 0
    if saved := load_checkpoint(checkpoint):
        refuse_other(saved, config, options)
        training.load(saved)
        step = saved["step"]
        started -= saved["seconds"]
    print(f"from step {step}: {training.prepare()}", flush=True)

    def seconds() -> float:
        return time.monotonic() - started

    def save() -> None:
        record = {
            "config": dataclasses.asdict(config),
            "options": dataclasses.asdict(options),
            "step": step,
            "seconds": seconds(),
        }
        save_checkpoint(checkpoint, record | training.state())

    reported, rate = step, 0.0
    if step in watched:
        yield Progress(step, math.nan, seconds(), 0.0, training.average, False)
    while step < options.steps and seconds() < 60 * options.minutes:
        if stopped():
            save()
            return
        rate = options.learning_rate_at(step, seconds())
        training.run(step, rate, options.decay_at(step))
        step += 1
        if step % options.save_every == 0:
            save()
        if step % options.report_every == 0 or step in watched:
            loss = training.mean_loss(step - reported)
            yield Progress(step, loss, seconds(), rate, training.average, False)
            reported = step
    save()
    loss = training.mean_loss(step - reported)
    yield Progress(step, loss, seconds(), rate, training.average, True)  # a loss of NaN: no news


def save_average(
    path: Path, model: DiffusionTransformer, step: int, seconds: float, dtype: torch.dtype
) -> None:
    """The averaged weights alone, on the CPU: what `load_average` reads."""
    save_checkpoint(
        path,
        {
            "config": dataclasses.asdict(model.config),
            "average": {name: value.cpu().to(dtype) for name, value in model.state_dict().items()},
            "step": step,
            "seconds": seconds,
        },
    )


def load_average(checkpoint: Path) -> tuple[DiffusionTransformer, dict]:
    """The averaged model of a run, in evaluation mode, and the run's record (step, seconds...)."""
    saved = load_checkpoint(checkpoint)
    if saved is None:
        raise FileNotFoundError(f"{checkpoint} not found: train first (python -m models.train)")
    model = DiffusionTransformer(TransformerConfig(**saved["config"]))
    model.load_state_dict(saved["average"])
    return model.eval().requires_grad_(False), saved


def arguments_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small", help="geometry")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument(
        "--output", type=Path, default=Path("build-models"), help="folder of the checkpoint"
    )
    parser.add_argument("--results", type=Path, help="for the small files; default: the output's")
    parser.add_argument("--judge", type=Path, default=Path("models/embedded"), help="a bundle")
    parser.add_argument(
        "--points-per-doubling", type=number(above=0, most=100), default=1.0, help="watched steps"
    )
    parser.add_argument(
        "--watch-samples",
        type=whole(0),
        default=500,
        help="of a watched step, which on a CPU takes minutes (`took` in log.jsonl); 0: none",
    )
    parser.add_argument(
        "--keep-averages", action="store_true", help="of each watched step, to be measured later"
    )
    parser.add_argument(
        "--final-samples", type=whole(0), default=5000, help="of the last step; 0: none"
    )
    for field in dataclasses.fields(TrainingOptions):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            how = {"action": argparse.BooleanOptionalAction, "help": field.metadata["help"]}
        else:
            how = field.metadata
        parser.add_argument(flag, default=field.default, **how)
    return parser.parse_args(words)


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Within, the first SIGINT or SIGTERM goes into the list, and a second one ends the process."""
    both = (signal.SIGINT, signal.SIGTERM)
    caught: list[int] = []

    def catch(number: int, frame: object) -> None:
        caught.append(number)
        for each in both:
            signal.signal(each, signal.SIG_DFL)

    before = [signal.signal(each, catch) for each in both]
    try:
        yield caught
    finally:
        for each, handler in zip(both, before, strict=True):
            signal.signal(each, handler)


def main(words: list[str] | None = None) -> None:
    given = arguments_of(words)
    with caught_signals() as signals:
        run(given, lambda: bool(signals))


def run(given: argparse.Namespace, stopped: Callable[[], bool]) -> None:
    # Not at the top: a run that is only read needs none of it.
    from models.growth import Stopped, growth_steps
    from models.training_log import TrainingLog

    names = [field.name for field in dataclasses.fields(TrainingOptions)]
    options = TrainingOptions(**{name: getattr(given, name) for name in names})
    config = PRESETS[given.preset]
    if options.device.startswith("cuda"):
        torch.backends.cuda.matmul.allow_tf32 = True  # measurements; PyTorch's default elsewhere

    checkpoint = given.output / CHECKPOINT
    first = None
    if saved := load_checkpoint(checkpoint):
        refuse_other(saved, config, options)
        first = saved["step"]
    del saved
    images, labels = load_split(given.data, "train")
    log = TrainingLog(
        given.results or given.output,
        given.judge,
        load_split(given.data, "test"),
        torch.device(options.device),
        given.watch_samples,
        first,
        stopped,
    )
    log.write({"kind": "options", **dataclasses.asdict(config), **dataclasses.asdict(options)})
    watched = frozenset(growth_steps(options.steps, given.points_per_doubling))
    for at in train(config, options, images, labels, checkpoint, watched, stopped):
        if not math.isnan(at.loss):
            log.write(
                {
                    "kind": "loss",
                    "step": at.step,
                    "loss": round(at.loss, 5),
                    "learningRate": float(f"{at.learning_rate:.4g}"),
                    "seconds": round(at.seconds, 1),
                }
            )
            print(f"step {at.step}  loss {at.loss:.4f}  {at.seconds / 60:.1f} min", flush=True)
        if not (at.ended or at.step in watched):
            continue
        save_average(log.folder / AVERAGE, at.average, at.step, at.seconds, torch.float32)
        if given.keep_averages and at.step > 0:
            kept = log.folder / AVERAGES / f"{at.step}.ckpt"
            save_average(kept, at.average, at.step, at.seconds, torch.float16)
        try:
            log.watch(at.average, at.step)
            if at.ended:
                log.evaluate(at.average, at.step, given.final_samples)
        except Stopped:
            pass  # made again by the run that goes on
        except Exception:
            # Days of training are not given up for a figure.
            traceback.print_exc()
    if stopped():
        print("stopped; the same command goes on", flush=True)


if __name__ == "__main__":
    run_command(main)
