"""Draw a contact sheet in Python, to look at a bundle before its defaults are chosen.

    python -m models.contact_sheet --output sheet.png --column s=1 --column s=2,w=0.3,layer=4

Rows are the classes; each `--column` is one setting of guidance, from the same noise: `s` the scale
of classifier-free guidance (1: conditional alone), `w` of Detail Guidance, `layer`, `retention` and
`channels` (12+49) of its disruption. `disrupted=1` shows the degraded branch itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.command_line import parser_of, run_command, whole
from models.diffusion_transformer import TransformerConfig
from models.evaluate import default_edit
from models.export.bundle import read_manifest
from models.guided_sampling import (
    Branch,
    Edit,
    flow_sigmas,
    guidance_branches,
    sample,
    seeded_latents,
)
from models.trained import load_transformer


def parse_column(text: str, default: Edit, config: TransformerConfig) -> list[Branch]:
    """The branches that one `--column` asks for."""
    try:
        parts = [part.partition("=") for part in text.split(",")]
        return branches_of({name: value for name, _, value in parts}, default, config)
    except ValueError as error:
        raise ValueError(
            f"--column {text}: expected settings as s=1,w=0.3,layer=4,retention=0,channels=12+49,disrupted=1 "
            f"({error})"
        ) from None


def branches_of(setting: dict[str, str], default: Edit, config: TransformerConfig) -> list[Branch]:
    unknown = setting.keys() - {"s", "w", "layer", "retention", "channels", "disrupted"}
    if unknown:
        raise ValueError(f"unknown {sorted(unknown)}")
    channels = setting.get("channels")
    edit = Edit(
        layer=int(setting.get("layer", default.layer)),
        channels=default.channels if channels is None else [int(c) for c in channels.split("+")],
        retention=float(setting.get("retention", default.retention)),
    )
    if not 0 <= edit.layer < config.depth:
        raise ValueError(f"layer {edit.layer} of {config.depth}")
    if not all(0 <= channel < config.width for channel in edit.channels):
        raise ValueError(f"channels {channels} of {config.width}")
    if float(setting.get("disrupted", 0)):
        return [Branch(1.0, edits=(edit,))]
    return guidance_branches(float(setting.get("s", 1)), float(setting.get("w", 0)), edit)


def draw(columns: list[Tensor], zoom: int = 3, gap: int = 2) -> Image.Image:
    """Each column [rows, 1, H, W] in [-1, 1]; a white sheet with the images enlarged."""
    padded = torch.nn.functional.pad(torch.stack(columns, 1).clamp(-1, 1), (gap,) * 4, value=1.0)
    rows, count, _, height, width = padded.shape
    sheet = padded[:, :, 0].permute(0, 2, 1, 3).reshape(rows * height, count * width)
    pixels = ((sheet + 1) * 127.5).round().to(torch.uint8).numpy()
    return Image.fromarray(np.kron(pixels, np.ones((zoom, zoom), np.uint8)))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--column", action="append", required=True, help="of settings, as s=1,w=0.3"
    )
    parser.add_argument("--steps", type=whole(1), help="default: the bundle's")
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of the first row; one more per row"
    )
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.bundle)
    model = load_transformer(arguments.bundle)
    latent, conditioning = manifest["latent"], manifest["conditioning"]
    labels = torch.arange(conditioning["numClasses"])
    seeds = range(arguments.seed, arguments.seed + len(labels))
    latents = seeded_latents(seeds, (latent["channels"], latent["height"], latent["width"]))
    sigmas = flow_sigmas(arguments.steps or manifest["defaults"]["numInferenceSteps"])
    columns = []
    default = default_edit(manifest)
    for branches in [parse_column(text, default, model.config) for text in arguments.column]:
        columns.append(sample(model, latents, labels, conditioning["nullClass"], sigmas, branches))
    draw(columns).save(arguments.output)


if __name__ == "__main__":
    run_command(main)
