"""The log of a training run: JSON lines, and pictures of the steps that are watched."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoint import load_checkpoint, save_checkpoint
from models.contact_sheet import draw
from models.diffusion_transformer import DiffusionTransformer
from models.growth import SCALES, STEPS, Sampler, measure_checkpoint, stoppable
from models.guided_sampling import guidance_branches
from models.picture_quality import Judge

LOG = "log.jsonl"
GROWTH = "growth.ckpt"
SHEET = "samples.png"

TEST_IMAGES = 1000  # that the squared error is measured on
DISRUPTED_SAMPLES = 200


class TrainingLog:
    """Writes `folder`; what an earlier run left of later steps than `first` is dropped.

    first: where the run goes on, None for a new one. A measurement raises Stopped, and leaves no
    trace, when `stopped` is true.
    """

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        test: tuple[Tensor, Tensor],
        device: torch.device,
        samples: int,
        first: int | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.samples, self.stopped = folder, samples, stopped
        # What may be refused comes before the first change to the folder.
        self.judge = Judge.load(bundle, test[0], device)
        folder.mkdir(parents=True, exist_ok=True)
        self.test = (test[0][:TEST_IMAGES], test[1][:TEST_IMAGES])
        self._path = folder / LOG
        last = -1 if first is None else first
        self._keep(lambda record: record.get("step", 0) <= last)
        kept = None if first is None else load_checkpoint(folder / GROWTH)
        pictures: dict[int, Tensor] = kept["pictures"] if kept else {}
        self.growth = {"pictures": {at: rows for at, rows in pictures.items() if at <= last}}

    def write(self, record: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(finite(record)) + "\n")

    def watch(self, model: DiffusionTransformer, step: int) -> None:
        """Measure the averaged model of `step`, and add its rows to the sheet."""
        if self.samples == 0 or step in self.growth["pictures"]:
            return
        print(f"measuring step {step} by {self.samples} samples; Ctrl-C stops", flush=True)
        started = time.monotonic()
        with stoppable(model, self.stopped):
            record, rows = measure_checkpoint(
                model, self.judge, self.test, self.samples, DISRUPTED_SAMPLES
            )
        took = round(time.monotonic() - started, 1)
        # A run that was killed between the record and its pictures measures again.
        self._keep(lambda old: (old["kind"], old.get("step")) != ("growth", step))
        self.write({"kind": "growth", "step": step, "took": took, **record})
        self.growth["pictures"][step] = ((rows + 1) * 127.5).round().to(torch.uint8)
        save_checkpoint(self.folder / GROWTH, self.growth)
        sheet = torch.cat([self.growth["pictures"][at] for at in sorted(self.growth["pictures"])])
        image = draw(list((sheet / 127.5 - 1).unbind(1)), zoom=2)
        unfinished = self.folder / f".{SHEET}"
        image.save(unfinished, format="png")
        os.replace(unfinished, self.folder / SHEET)

    def evaluate(self, model: DiffusionTransformer, step: int, samples: int) -> None:
        """The figures of the model that the run ends with, on more samples."""
        if samples == 0:
            return
        print(f"measuring step {step} by {samples} samples; Ctrl-C stops", flush=True)
        sampler, records = Sampler(model, samples), []
        for scale in SCALES:
            with stoppable(model, self.stopped):
                pictures = sampler.samples(guidance_branches(scale), STEPS)
            figures = self.judge.report(pictures, sampler.labels, manifold=True)
            records.append(
                {"kind": "final", "step": step, "scale": scale, "steps": STEPS, **figures}
            )
            print(f"s = {scale:g}: {figures}", flush=True)
        # An earlier end's figures stay until these are there.
        self._keep(lambda old: old["kind"] != "final")
        for record in records:
            self.write(record)

    def _keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the lines of which `wanted` is false."""
        if not self._path.is_file():
            return
        kept = []
        for line in self._path.read_text().splitlines():
            # The last line of a killed run may be half a line.
            if line.endswith("}") and wanted(json.loads(line)):
                kept.append(line + "\n")
        unfinished = self.folder / f".{LOG}"
        unfinished.write_text("".join(kept))
        os.replace(unfinished, self._path)


def finite(value: Any) -> Any:
    """JSON has no NaN: null in its place."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return value
