"""The benchmark's models: transformers with random weights, big enough that the network dominates.

`python -m bench.model --size full --out FOLDER` writes one as a bundle.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.class_transformer import ClassTransformer
from bench.joint_transformer import JointConfig, JointTransformer
from models.diffusion_transformer import TransformerConfig
from models.export.bundle import DTYPES, file_record, replace_folder, save_trace, to_json
from models.export.trace import Traceable, write_trace

Config = TransformerConfig | JointConfig

SIZES: Mapping[str, Config] = {
    "full": TransformerConfig(
        image_size=32,
        image_channels=4,
        patch_size=2,
        width=384,
        depth=12,
        heads=6,
        num_classes=1000,
    ),
    "joint": JointConfig(  # both kinds of blocks, for a CPU
        width=384,
        joint=4,
        single=8,
        heads=6,
        latent_size=32,
        text_tokens=64,
        text_width=512,
        pooled_width=256,
        rotary=True,
    ),
    "dit-xl-2": TransformerConfig(  # DiT-XL/2 at 256 px: 675 M parameters
        image_size=32,
        image_channels=4,
        patch_size=2,
        width=1152,
        depth=28,
        heads=16,
        num_classes=1000,
    ),
    "two-gigabytes": TransformerConfig(  # to be loaded, not to be run
        image_size=32,
        image_channels=4,
        patch_size=2,
        width=1536,
        depth=12,
        heads=24,
        num_classes=1000,
    ),
    "sd3-medium": JointConfig(  # at 1024 px: 2 G parameters
        width=1536,
        joint=24,
        single=0,
        heads=24,
        latent_size=128,
        text_tokens=333,
        text_width=4096,
        pooled_width=2048,
        rotary=False,
    ),
    "flux": JointConfig(  # at 1024 px: 12 G parameters
        width=3072,
        joint=19,
        single=38,
        heads=24,
        latent_size=128,
        text_tokens=512,
        text_width=4096,
        pooled_width=768,
        rotary=True,
    ),
    "megapixel": JointConfig(  # little to compute, and pictures of 1024 x 1024: for the server
        width=128,
        joint=1,
        single=2,
        heads=2,
        latent_size=128,
        text_tokens=6,
        text_width=24,
        pooled_width=12,
        rotary=True,
        patch_size=4,
        most_patches=32,
    ),
    "tiny": TransformerConfig(  # for tests, as the next
        image_size=8, image_channels=4, patch_size=2, width=32, depth=4, heads=2
    ),
    "tiny-joint": JointConfig(
        width=32,
        joint=2,
        single=2,
        heads=2,
        latent_size=8,
        text_tokens=6,
        text_width=24,
        pooled_width=12,
        rotary=True,
        most_patches=8,
    ),
}

# Pixels along a side of a latent cell; 1 where the decoder is not worth measuring.
PIXELS = {"megapixel": 8}

# Of the file; the large ones are made in it.
WEIGHTS = {"sd3-medium": "bfloat16", "flux": "bfloat16"}


def empty_transformer(config: Config) -> nn.Module:
    """Of the right class and shapes, on the meta device."""
    with torch.device("meta"):
        is_joint = isinstance(config, JointConfig)
        model = JointTransformer(config) if is_joint else ClassTransformer(config)
    return model.eval().requires_grad_(False)


def random_transformer(config: Config, dtype: torch.dtype = torch.float32) -> nn.Module:
    """With the same weights every time: DiT's own start at zero, and would hide what is computed.

    Billions of numbers are drawn on the GPU where there is one, a hundred times faster.
    """
    count = sum(parameter.numel() for parameter in empty_transformer(config).parameters())
    device = "cuda" if count > 1e9 and torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(0)
    model = empty_transformer(config).to(dtype).to_empty(device=device)
    for name, parameter in model.named_parameters():
        if name == "frequencies":
            quarter = len(parameter)
            parameter.copy_(10000.0 ** (-torch.arange(quarter) / quarter))
            continue
        is_modulation = name.endswith(("modulation.weight", "modulation.bias"))
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
            is_table = "position_embedding" in name or "class_embedding" in name
            scale = 0.02 if is_modulation or is_table else fan_in**-0.5
            parameter.normal_(std=scale, generator=generator)
        else:
            parameter.normal_(std=0.1, generator=generator)
            if "norm" in name:
                parameter.add_(1)
    return model.cpu()


def dimensions(config: Config) -> tuple[list[int], int, list[str]]:
    """Shape of a latent, patches along its side, and the containers of the blocks."""
    if isinstance(config, JointConfig):
        size = config.latent_size
        containers = [name for name in ("joint", "single") if getattr(config, name)]
        return [config.latent_channels, size, size], config.grid, containers
    size = config.image_size
    return [config.image_channels, size, size], config.grid, ["blocks"]


def conditioning_inputs(config: Config) -> list[dict[str, Any]]:
    if isinstance(config, JointConfig):
        text = ["batch", config.text_tokens, config.text_width]
        return [
            {"name": "text", "role": "text", "dtype": "float", "shape": text},
            {
                "name": "pooled",
                "role": "pooled",
                "dtype": "float",
                "shape": ["batch", config.pooled_width],
            },
        ]
    return [{"name": "labels", "role": "class", "dtype": "int64", "shape": ["batch"]}]


def conditioning(config: Config, label: int, rows: int = 1) -> tuple[Tensor, ...]:
    """What the benchmark asks for: a class, or sines in place of a prompt, which own.ts makes too."""
    if isinstance(config, JointConfig):
        text = waves(config.text_tokens * config.text_width)
        return (
            text.view(1, config.text_tokens, -1).expand(rows, -1, -1).contiguous(),
            waves(config.pooled_width).expand(rows, -1).contiguous(),
        )
    return (torch.full((rows,), label),)


def unconditional(config: Config) -> tuple[Tensor, ...]:
    if isinstance(config, JointConfig):
        return tuple(torch.zeros_like(each) for each in conditioning(config, 0))
    return (torch.tensor([config.null_class]),)


def waves(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64).sin().float()[None]


def decoder_of(channels: int, pixels: int) -> nn.Module:
    """Three sums of the latent's channels for every pixel of a cell: [B, channels, H, W] to RGB."""
    sums = nn.Conv2d(channels, 3 * pixels**2, 1)
    model = sums if pixels == 1 else nn.Sequential(sums, nn.PixelShuffle(pixels))
    return model.eval().requires_grad_(False)


def description(
    config: Config, dtype: str, blocks: list[dict[str, Any]], pixels: int
) -> dict[str, Any]:
    latent, grid, _ = dimensions(config)
    is_joint = isinstance(config, JointConfig)
    sides = ["height", "width"] if is_joint else latent[1:]
    most = config.most_patches * config.patch_size if is_joint else None
    return {
        "name": "benchmark",
        "family": "sd3" if is_joint else "dit",
        "licence": "MIT",
        "description": "Random weights, for the benchmark",
        "transformer": {
            "file": "transformer.pt",
            "dtype": dtype,
            "inputs": [
                {
                    "name": "sample",
                    "role": "latent",
                    "dtype": "float",
                    "shape": ["batch", latent[0], *sides],
                },
                {"name": "timestep", "role": "timestep", "dtype": "float32", "shape": ["batch"]},
                *conditioning_inputs(config),
            ],
            "blocks": blocks,
            "outputChannels": latent[0],
            "prediction": "flow",
            "tokenGrid": [grid, grid],
            "hiddenChannels": config.width,
        },
        "latent": {
            **dict(zip(("channels", "height", "width"), latent, strict=True)),
            **({"maxHeight": most, "maxWidth": most} if is_joint else {}),
        },
        "conditioning": {"kind": "tensors"}
        if is_joint
        else {
            "kind": "class",
            "numClasses": config.num_classes,
            "nullClass": config.null_class,
        },
        "scheduler": {
            "kind": "flow-match-euler",
            "timestepSpacing": "trailing",
            "timestepScale": 1.0,
        },
        "image": {"kind": "vae", "range": [-1, 1], "channels": 3},
        "vae": {"decoder": {"file": "decoder.pt", "dtype": "float32"}, "scale": pixels},
    }


def traceable(model: nn.Module) -> Traceable:
    config = model.config
    (channels, *_), grid, containers = dimensions(config)
    patch, is_joint = config.patch_size, isinstance(config, JointConfig)

    def inputs(batch: int, rows: int, columns: int) -> tuple[Tensor, ...]:
        return (
            torch.randn(batch, channels, rows * patch, columns * patch),
            torch.linspace(0.9, 0.02, batch),
            *conditioning(config, 3, batch),
        )

    streams = ["image", "text"] if is_joint else ["image"]
    return Traceable(
        model,
        inputs(2, 3, 4) if is_joint else inputs(2, grid, grid),
        [inputs(3, 4, 2) if is_joint else inputs(3, grid, grid)],
        [{"path": f"{name}.*", "streams": streams} for name in containers],
    )


@torch.inference_mode()
def write(size: str, out: Path) -> None:
    """The bundle of a size, whole or not at all, without a second copy of its weights in memory."""
    config, dtype = SIZES[size], WEIGHTS.get(size, "float32")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        model = random_transformer(config, DTYPES[dtype])
        blocks = write_trace(traceable(model), folder / "transformer.pt")
        channels = dimensions(config)[0][0]
        pixels = PIXELS.get(size, 1)
        decoder = decoder_of(channels, pixels)
        save_trace(decoder, (torch.zeros(2, channels, 4, 4),), folder / "decoder.pt", torch.float32)
        files = {path.name: file_record(path) for path in sorted(folder.iterdir())}
        manifest = {"format": 1, **description(config, dtype, blocks, pixels), "files": files}
        (folder / "bundle.json").write_text(to_json(manifest))
        replace_folder(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.size, arguments.out)


if __name__ == "__main__":
    main()
