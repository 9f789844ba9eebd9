"""Measure the averaged weights that a training run kept (`--keep-averages`), as it would have done itself.

    python -m models.watch_averages --run build-models --log docs/growth/shipped.jsonl

Adds to the log a record of `growth.py` for each of `<run>/averages/<step>.ckpt` that it does not
have yet, in the order of the steps; it can be stopped and started again.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from models.command_line import parser_of, run_command, whole
from models.fashion_mnist import DEFAULT_FOLDER, load_split
from models.growth import measure_checkpoint
from models.growth_page import read_log
from models.picture_quality import Judge
from models.train import AVERAGES, load_average
from models.training_log import TEST_IMAGES, finite


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--run", type=Path, default=Path("build-models"), help="folder of the training"
    )
    parser.add_argument("--log", type=Path, required=True, help="that is added to")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument("--judge", type=Path, default=Path("models/embedded"), help="a bundle")
    parser.add_argument("--device", default="cpu", help="of PyTorch")
    parser.add_argument("--samples", type=whole(1), default=500, help="of each step")
    parser.add_argument(
        "--disrupted-samples", type=whole(1), default=200, help="of each disrupted block"
    )
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    images, labels = load_split(arguments.data, "test")
    judge = Judge.load(arguments.judge, images, device)
    test = (images[:TEST_IMAGES], labels[:TEST_IMAGES])
    records = read_log(arguments.log)
    known = {record["step"] for record in records if record["kind"] == "growth"}
    files = {int(file.stem): file for file in (arguments.run / AVERAGES).glob("*.ckpt")}
    for step in sorted(files.keys() - known):
        model, _ = load_average(files[step])
        record, _ = measure_checkpoint(
            model.to(device), judge, test, arguments.samples, arguments.disrupted_samples
        )
        with arguments.log.open("a") as log:
            log.write(json.dumps(finite({"kind": "growth", "step": step, **record})) + "\n")
        print(f"step {step}: measured", flush=True)


if __name__ == "__main__":
    run_command(main)
