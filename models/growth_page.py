"""The page and the figure about how massive activations grow while a model is trained.

    python -m models.growth_page --log docs/growth/small.jsonl --log docs/growth/long.jsonl \
        --log docs/growth/fine.jsonl

Reads the logs of `models.train` (the records of `growth.py`) and writes docs/growth.md and
docs/images/growth.png. Every sentence of the page is computed: other logs, another page. Needs
matplotlib.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.command_line import parser_of, run_command
from models.massive_activations import jaccard

SETTLED = 0.8  # Jaccard index to the last set
COLOURS = "viridis"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log of `models.train`."""
    records = []
    for at, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or "kind" not in record:
            raise ValueError(
                f'{path}, line {at}: expected a record of models.train ({{"kind": ...}}), got {line[:60]!r}'
            )
        records.append(record)
    return records


@dataclass(frozen=True)
class Run:
    """One log: its name, its options, and what was measured at each of its watched steps."""

    name: str
    options: dict[str, Any]
    growth: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Run:
        records = read_log(path)
        growth = [record for record in records if record["kind"] == "growth"]
        options = [record for record in records if record["kind"] == "options"]
        if not growth or growth[-1]["step"] == 0:
            raise ValueError(
                f"{path} has no record of kind growth after step 0: train with --watch-samples"
            )
        if not options:
            raise ValueError(
                f"{path} has no record of kind options: expected a log of models.train"
            )
        return cls(path.stem, options[0], growth)

    @property
    def steps(self) -> list[int]:
        return [record["step"] for record in self.growth]

    @property
    def layers(self) -> int:
        return len(self.growth[0]["blocks"])

    def series(self, layer: int, value: Callable[[dict], float]) -> list[float]:
        return [value(record["blocks"][layer]) for record in self.growth]

    @property
    def half_way(self) -> int:
        """Index of the record nearest to half of the steps: records lie at even ratios."""
        half = self.steps[-1] / 2
        return min(range(len(self.steps)), key=lambda at: abs(self.steps[at] - half))

    def agreement(self, layer: int, key: str) -> list[float]:
        """Jaccard index of each step's set to the last step's."""
        last = self.growth[-1]["blocks"][layer][key]
        return self.series(layer, lambda block: jaccard([block[key], last]))

    def settled(self, layer: int, key: str) -> str:
        """The step from which on the set is the last one, but for little."""
        # The last one always agrees with itself.
        step = settled(self.steps[:-1], self.agreement(layer, key)[:-1], SETTLED)
        return "never" if step is None else str(step)


def strongest(block: dict) -> float:
    """The strongest channel, mean over timesteps, times the median channel."""
    return block["strongestStrength"][0]


def towards_data(block: dict) -> float:
    """Magnitude at the last timestep by that at the first: above 1 it grows as t goes to 0 (C3)."""
    return block["magnitude"][-1] / block["magnitude"][0]


def settled(steps: Sequence[int], values: Sequence[float], bound: float) -> int | None:
    """The first step from which on all values, two at least, reach the bound."""
    first = len(values)
    while first > 0 and values[first - 1] >= bound:
        first -= 1
    return steps[first] if len(values) - first >= 2 else None


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def described(run: Run) -> str:
    """One run, in words and tables."""
    options, layers = run.options, range(run.layers)
    last = run.growth[-1]
    parts = [f"## {run.name}: patches of {options['patch_size']} x {options['patch_size']}\n"]
    parts.append(
        f"{(options['image_size'] // options['patch_size']) ** 2} tokens, width {options['width']}, "
        f"{options['depth']} blocks, batch {options['batch_size']}, {run.steps[-1]} steps. At the end "
        + ", ".join(
            f"{100 * quality['recognised']:.1f} % recognised at s = {quality['scale']:g}"
            for quality in last["quality"]
        )
        + ".\n"
    )
    rows = []
    for layer in layers:
        block = last["blocks"][layer]
        towards = run.series(layer, towards_data)
        massive, matched = (block["disruption"][name] for name in ("massive", "matched"))
        rows.append(
            [
                str(layer),
                ", ".join(map(str, block["massive"])) or "none",
                f"{strongest(block):.1f}",
                run.settled(layer, "massive"),
                run.settled(layer, "strongest"),
                f"{towards[run.half_way]:.2f}, {towards[-1]:.2f}",
                f"{100 * block['explained']['timestep']:.0f} %",
                f"{massive['high']:.2f} ({matched['high']:.2f})",
                f"{100 * massive['recognised']:.0f} % ({100 * matched['recognised']:.0f} %)",
            ]
        )
    heads = [
        "block",
        "massive at the end",
        "strongest ×",
        "set settled",
        "top 8 settled",
        f"t → 0, after {run.steps[run.half_way]} steps and at the end",
        "timestep explains",
        "detail × when disrupted",
        "recognised when disrupted",
    ]
    parts.append(table(heads, rows))
    rising = [layer for layer in layers if run.series(layer, towards_data)[-1] > 1]
    parts.append(
        f"C3's direction (the magnitude grows as t → 0) holds at the end in "
        f"{'no block' if not rising else 'block ' + ', '.join(map(str, rising))}. "
        + growth_of_direction(run)
    )
    fewer = [
        layer
        for layer in layers
        if last["blocks"][layer]["disruption"]["massive"]["high"] < 0.9
        and last["blocks"][layer]["disruption"]["matched"]["high"] > 1
    ]
    parts.append(
        "At the end disruption leaves less than 0.9 of the detail, and that of the matched channels more than "
        f"there was, in {'no block' if not fewer else 'block ' + ', '.join(map(str, fewer))}: by 200 pictures and "
        "one draw of the control, of which other draws may differ much "
        "([C4](claims.md#c4-disrupting-them-takes-detail-and-leaves-the-rest)).\n"
    )
    return "\n".join(parts)


def growth_of_direction(run: Run) -> str:
    """Of the last block: how the magnitude at both ends moved."""
    layer = run.layers - 1
    first = next(record for record in run.growth if record["step"] > 0)
    shown = [first, run.growth[run.half_way], run.growth[-1]]
    moved = ", ".join(
        f"{record['blocks'][layer]['magnitude'][0]:.2f} and "
        f"{record['blocks'][layer]['magnitude'][-1]:.2f} after {record['step']} steps"
        for record in shown
    )
    start, end = run.growth[0]["timesteps"][0], run.growth[0]["timesteps"][-1]
    return f"In the last block the magnitude at t = {start:g} and t = {end:g} was {moved}.\n"


def page(runs: Sequence[Run], logs: Sequence[Path]) -> str:
    command = " ".join(["python -m models.growth_page", *(f"--log {log}" for log in logs)])
    return "\n".join(
        [
            "# Massive activations while they grow\n",
            "What `python -m models.train`, or `models.watch_averages` afterwards, measured of the averaged weights of "
            "models that were trained on Fashion-MNIST ([models/README.md](../models/README.md)). They are not the "
            "embedded model: its own training, of more steps and of twice the pictures in each, was not watched. "
            "This page and its figure, which needs `matplotlib`, are\n",
            f"```\n{command}\n```\n",
            "_Strongest_: the strongest channel's mean |z| by the median channel's, mean over ten timesteps. "
            f"_Settled_: the step from which the Jaccard index to the last set stays at {SETTLED:g} or more, at two "
            "measurements before the last at least, of the massive channels (the [rule](massive-activations.md)) "
            "and of the eight strongest. _t → 0_: magnitude of "
            "the disrupted channels at t = 0.1 by that at t = 1. _When disrupted_: energy in high frequencies by "
            "that of the undisturbed pictures, and share recognised, with the massive channels zeroed after that "
            "block, in brackets as many others moved as much (200 pictures, conditional prediction, 10 steps). A "
            "block without massive channels is disrupted at its three strongest.\n",
            "![Growth of massive activations over the steps of training](images/growth.png)\n",
            *(described(run) for run in runs),
        ]
    )


def draw(runs: Sequence[Run], path: Path) -> None:
    # Not at the top: only the figure needs it.
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit(f"The figure needs matplotlib (pip install matplotlib): {error}") from None

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, len(runs), figsize=(5.2 * len(runs), 13), squeeze=False)
    for column, run in zip(axes.T, runs, strict=True):
        steps = [max(step, 50) for step in run.steps]
        colours = matplotlib.colormaps[COLOURS]
        for layer in range(run.layers):
            style = {"color": colours(layer / max(1, run.layers - 1)), "lw": 1.4}
            column[0].plot(steps, run.series(layer, strongest), label=str(layer), **style)
            column[1].plot(steps, run.agreement(layer, "massive"), **style)
            column[2].plot(steps, run.series(layer, towards_data), **style)
            for name, dashes in (("massive", "-"), ("matched", ":")):
                column[3].plot(
                    steps,
                    run.series(layer, lambda block, name=name: block["disruption"][name]["high"]),
                    linestyle=dashes,
                    **style,
                )
        side = run.options["patch_size"]
        column[0].set_title(f"{run.name} (patches of {side} x {side})")
        column[0].legend(title="block", ncols=4, fontsize=7, title_fontsize=7)
        labels = (
            "strongest channel, times the median",
            "Jaccard index to the last massive set",
            "magnitude at t = 0.1 by that at t = 1",
            "detail when disrupted (dotted: matched)",
        )
        for axis, label in zip(column, labels, strict=True):
            axis.set_xscale("log")
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        for axis in column[2:]:
            axis.axhline(1, color="black", lw=0.8)
            axis.set_yscale("log")
        column[-1].set_xlabel("step")
    figure.tight_layout()
    unfinished = path.with_name(f".{path.name}")
    figure.savefig(unfinished, dpi=90, format="png", metadata={"Software": None})
    os.replace(unfinished, path)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--log", type=Path, action="append", required=True, help="of models.train")
    parser.add_argument("--page", type=Path, default=Path("docs/growth.md"), help="to write")
    parser.add_argument(
        "--figure", type=Path, default=Path("docs/images/growth.png"), help="to write"
    )
    arguments = parser.parse_args()
    runs = [Run.read(log) for log in arguments.log]
    draw(runs, arguments.figure)
    arguments.page.write_text(page(runs, arguments.log))
    print(f"wrote {arguments.page} and {arguments.figure}")


if __name__ == "__main__":
    run_command(main)
