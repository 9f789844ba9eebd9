"""The settings with which the paper's claims are put to the test, and the tables of what came out.

    python -m models.claims settings --bundle models/embedded --out claims/settings
    python -m models.claims check --results claims/results --samples 5000 --steps 10
    python -m models.claims tables --results claims/results

`settings` writes a file for `detail-guidance evaluate --settings` for each row of the tables in
docs/claims.md: the baseline, Detail Guidance away from the massive channels of a layer, and the
control, guidance away from as many other channels that move it as much. Each file has the baseline
again, since differences are paired over the seeds of one run; `models/claims.sh` runs them side by
side. `check` refuses results of another model or other settings. `tables` reads the `result.json`
of every run and prints Markdown.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.command_line import parser_of, run_command
from models.massive_activations import FALLBACK_CHANNELS

# Layer, w, rho: without classifier-free guidance (C6).
COMPARED_LAYERS = (1, 3, 5)
GRID_SCALES = (0.3, 1.0)
GRID_RETENTIONS = (0.0, 0.5)
CLASSIFIER_FREE_SCALES = (2.0, 4.0)  # C5
NAME = re.compile(r"s([\d.]+)-layer(\d+)-w([\d.]+)-rho([\d.]+)")
ORDER = "order.txt"
CONTROL = {"kind": "matched-channels", "seed": 0}


def layer_channels(bundle: Path) -> list[list[int]]:
    """The massive channels of each layer, or its strongest ones where none is massive."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    statistics = json.loads((bundle / manifest["massiveActivations"]["statistics"]).read_text())
    return [
        block["channels"] or block["strongest"]["channels"][:FALLBACK_CHANNELS]
        for block in statistics["blocks"]
    ]


def rows(layers: int) -> Iterator[tuple[float, int, float, float]]:
    """CFG scale, layer, w and rho of every row, what tells most first.

    All layers at w = 0.3, then with classifier-free guidance, then the rest of the grid.
    """
    for layer in range(layers):
        yield 1.0, layer, 0.3, 0.0
    compared = [layer for layer in COMPARED_LAYERS if layer < layers]
    for scale, layer in itertools.product(CLASSIFIER_FREE_SCALES, compared):
        yield scale, layer, 0.3, 0.0
    for layer, scale, retention in itertools.product(compared, GRID_SCALES, GRID_RETENTIONS):
        if (scale, retention) != (0.3, 0.0):
            yield 1.0, layer, scale, retention


def settings(channels: list[list[int]]) -> dict[str, list[dict[str, Any]]]:
    """File name -> its settings: baseline, massive channels, control."""
    files = {}
    for scale, layer, detail, retention in rows(len(channels)):
        classifier_free = {} if scale == 1 else {"classifierFree": {"scale": scale}}
        away = {
            "scale": detail,
            "layer": layer,
            "channels": channels[layer],
            "retention": retention,
        }
        files[f"s{scale:g}-layer{layer}-w{detail:g}-rho{retention:g}"] = [
            {"name": "baseline", "guidance": classifier_free},
            {"name": "massive", "guidance": classifier_free | {"detail": away}},
            {
                "name": "matched",
                "guidance": classifier_free | {"detail": away | {"control": CONTROL}},
            },
        ]
    return files


def with_interval(value: dict[str, float], digits: int, factor: float = 1) -> str:
    """ "12.3 [11.9, 12.7]" """
    middle, low, high = (f"{factor * value[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{middle} [{low}, {high}]"


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Of the Frechet distances, on the same seeds; standard error by leaving out groups of both."""
    groups = [
        first - second
        for first, second in zip(
            one["frechet"]["withoutGroups"], other["frechet"]["withoutGroups"], strict=True
        )
    ]
    count, mean = len(groups), sum(groups) / len(groups)
    error = math.sqrt((count - 1) / count * sum((group - mean) ** 2 for group in groups))
    value = one["frechet"]["distance"] - other["frechet"]["distance"]
    return f"{value:+.3f} ± {error:.3f}".replace("-", "−")


def row(name: str, setting: dict[str, Any]) -> list[str]:
    """The figures of one setting."""
    shared = setting["precisionRecall"]
    return [
        name,
        f"{setting['frechet']['distance']:.3f} ± {setting['frechet']['standardError']:.3f}",
        f"{setting['kernel']['distance']:.4f} ± {setting['kernel']['standardError']:.4f}",
        f"{shared['precision']:.3f}",
        f"{shared['recall']:.3f}",
        with_interval(setting["recognised"], 1, 100),
        with_interval(setting["spectrum"]["highShare"], 1, 100),
        f"{setting['spectrum']['distance']:.2f}",
    ]


def table(heads: list[str], lines: list[list[str]]) -> str:
    divider = ["---"] * len(heads)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, divider, *lines]) + "\n"


def read_results(results: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("s*.json"))}


def one_of(found: dict[str, Any]) -> dict[str, Any]:
    return next(iter(found.values()))


def made_of(result: dict[str, Any]) -> dict[str, Any]:
    """What results need to have in common to be compared."""
    return {
        "transformer": result["bundle"]["transformer"],
        "samples": result["samples"],
        "steps": result["numInferenceSteps"],
        "seed": result["seed"],
        "dtype": result["dtype"],
        "reference": result["reference"]["fingerprint"],
    }


def refuse_mixed(found: dict[str, Any], wanted: dict[str, Any] | None = None) -> None:
    """Raise ValueError where results were made of other models or settings than `wanted`, or the first."""
    expected = wanted or made_of(one_of(found))
    for name, result in found.items():
        differing = {
            key: value
            for key, value in made_of(result).items()
            if value != expected.get(key, value)
        }
        if differing:
            shown = {key: expected[key] for key in differing}
            raise ValueError(
                f"{name}.json is of other settings: expected {shown}, found {differing}. "
                "Remove it, or give another --out."
            )


def refuse_other_results(results: Path, bundle: Path, samples: int, steps: int) -> None:
    """Raise ValueError where a row is there that `models/claims.sh` would not make with these settings."""
    file = json.loads((bundle / "bundle.json").read_text())["transformer"]["file"]
    digest = hashlib.sha256((bundle / file).read_bytes()).hexdigest()
    refuse_mixed(read_results(results), {"transformer": digest, "samples": samples, "steps": steps})


def tables(results: Path) -> str:
    """Markdown: the differences of the Frechet distance row by row, then all figures."""
    found = read_results(results)
    if not found:
        raise FileNotFoundError(f"{results} holds no result of models/claims.sh")
    refuse_mixed(found)
    differences, figures = [], []
    seen: set[tuple[str, int]] = set()
    for name, result in found.items():
        baseline, massive, matched = result["settings"]
        guided, layer, detail, retention = NAME.fullmatch(name).groups()
        # Precision and recall depend on how many images span the manifolds.
        images = baseline["precisionRecall"]["images"]
        over = f" (precision and recall over {images} images)"
        if (guided, images) not in seen:
            seen.add((guided, images))
            figures.append(row(("none" if guided == "1" else f"CFG {guided}") + over, baseline))
        differences.append(
            [
                guided,
                layer,
                detail,
                retention,
                difference(massive, baseline),
                difference(matched, baseline),
                difference(massive, matched),
            ]
        )
        what = f"s {guided}, layer {layer}, w {detail}, rho {retention}"
        if images != one_of(found)["settings"][0]["precisionRecall"]["images"]:
            what += over
        figures += [row(what, massive), row(f"{what}, matched", matched)]
    one = one_of(found)
    devices = " and ".join(sorted({result["device"] for result in found.values()}))
    heading = (
        f"{one['bundle']['name']} ({one['bundle']['transformer'][:12]}), {one['samples']} pictures "
        f"a setting, {one['numInferenceSteps']} steps, {devices}, {one['dtype']}\n"
    )
    heads = ["s", "layer", "w", "rho", "massive", "matched", "massive less matched"]
    all_heads = [
        "guidance",
        "Frechet distance",
        "kernel distance",
        "precision",
        "recall",
        "recognised %",
        "high %",
        "spectrum dB",
    ]
    return "\n".join([heading, table(heads, differences), table(all_heads, figures)])


def main() -> None:
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("settings")
    write.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    write.add_argument("--out", type=Path, required=True)
    check = commands.add_parser("check")
    check.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    check.add_argument("--results", type=Path, required=True)
    check.add_argument("--samples", type=int, required=True)
    check.add_argument("--steps", type=int, required=True)
    show = commands.add_parser("tables")
    show.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "tables":
        print(tables(arguments.results))
        return
    if arguments.command == "check":
        try:
            refuse_other_results(
                arguments.results, arguments.bundle, arguments.samples, arguments.steps
            )
        except ValueError as error:
            raise SystemExit(str(error)) from None
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = settings(layer_channels(arguments.bundle))
    for name, content in files.items():
        (arguments.out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    (arguments.out / ORDER).write_text("".join(f"{name}\n" for name in files))
    print(f"{arguments.out}: {len(files)} files")


if __name__ == "__main__":
    run_command(main)
