"""Transformers of diffusers that no family of the exporter is for, small and random, as adapters describe them.

    detail-guidance export --adapter test/parity/reference/others.py --from flux2 --out FOLDER

writes one as a bundle; `answers` gives its inputs and what it makes of them in Python. Its blocks are diffusers'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from models.export.adapter import Adapter, export_adapter
from models.export.trace import Traceable

WIDTH, TEXT, POOLED, TOKENS = 48, 40, 24, 12
HEADS = {"num_attention_heads": 3, "attention_head_dim": 16}
# The layer and the channels that are disrupted.
LAYER, CHANNELS = 1, (3, 17)
# Where a block has text and image, the streams in the order in which it returns them.
IMAGE, JOINT = ("image",), ("joint",)
TEXT_IMAGE, IMAGE_TEXT = ("text", "image"), ("image", "text")


@dataclass(frozen=True)
class Architecture:
    """`arguments` names what forward() takes after the latents and the timestep, by the role it has."""

    kind: str
    config: dict[str, Any]
    blocks: dict[str, tuple[str, ...]]
    arguments: dict[str, str]
    channels: int = 4
    video: bool = False
    packed: bool = False
    patch: int = 2
    timesteps: float = 1000
    rest: Callable[[Tensor], dict[str, Any]] = lambda latents: {}


TEXTS = {"encoder_hidden_states": "text"}
MASKED = {**TEXTS, "encoder_attention_mask": "mask"}
DOUBLE = {"num_layers": 2, "num_single_layers": 2}

ARCHITECTURES = {
    "auraflow": Architecture(
        "AuraFlowTransformer2DModel",
        {
            "sample_size": 16,
            "in_channels": 4,
            "num_mmdit_layers": 2,
            "num_single_dit_layers": 2,
            "joint_attention_dim": TEXT,
            "caption_projection_dim": WIDTH,
            "pos_embed_max_size": 256,
        },
        {"joint_transformer_blocks": TEXT_IMAGE, "single_transformer_blocks": JOINT},
        TEXTS,
        timesteps=1,
    ),
    "cogview4": Architecture(
        "CogView4Transformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 3,
            "text_embed_dim": TEXT,
            "time_embed_dim": 32,
            "condition_dim": 16,
            "pos_embed_max_size": 64,
            "sample_size": 16,
            "rope_axes_dim": (64, 64),
        },
        {"transformer_blocks": IMAGE_TEXT},
        {**TEXTS, "original_size": "size", "target_size": "size", "crop_coords": "size"},
    ),
    "flux2": Architecture(
        "Flux2Transformer2DModel",
        {
            "in_channels": 16,
            **DOUBLE,
            "joint_attention_dim": TEXT,
            "timestep_guidance_channels": 32,
            "axes_dims_rope": (4, 4, 4, 4),
        },
        {"transformer_blocks": TEXT_IMAGE, "single_transformer_blocks": JOINT},
        {**TEXTS, "img_ids": "position_ids", "txt_ids": "position_ids", "guidance": "guidance"},
        packed=True,
        timesteps=1,
    ),
    "hunyuan-image": Architecture(
        "HunyuanImageTransformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            **DOUBLE,
            "num_refiner_layers": 1,
            "text_embed_dim": TEXT,
            "rope_axes_dim": (8, 8),
        },
        {"transformer_blocks": IMAGE_TEXT, "single_transformer_blocks": IMAGE_TEXT},
        MASKED,
    ),
    "hunyuan-video": Architecture(
        "HunyuanVideoTransformer3DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            **DOUBLE,
            "num_refiner_layers": 1,
            "text_embed_dim": TEXT,
            "pooled_projection_dim": POOLED,
            "rope_axes_dim": (4, 6, 6),
        },
        {"transformer_blocks": IMAGE_TEXT, "single_transformer_blocks": IMAGE_TEXT},
        {**MASKED, "pooled_projections": "pooled", "guidance": "guidance"},
        video=True,
    ),
    "ltx-video": Architecture(
        "LTXVideoTransformer3DModel",
        {
            "in_channels": 8,
            "out_channels": 8,
            "cross_attention_dim": WIDTH,
            "num_layers": 3,
            "caption_channels": TEXT,
        },
        {"transformer_blocks": IMAGE},
        MASKED,
        channels=8,
        video=True,
        patch=1,
        rest=lambda latents: dict(
            zip(("num_frames", "height", "width"), latents.shape[2:], strict=True),
            rope_interpolation_scale=(8 / 25, 32, 32),
        ),
    ),
    "sana": Architecture(
        "SanaTransformer2DModel",
        {
            "in_channels": 6,
            "out_channels": 6,
            "num_layers": 3,
            "num_cross_attention_heads": 3,
            "cross_attention_head_dim": 16,
            "cross_attention_dim": WIDTH,
            "caption_channels": TEXT,
            "sample_size": 8,
        },
        {"transformer_blocks": IMAGE},
        MASKED,
        channels=6,
        patch=1,
    ),
    "wan": Architecture(
        "WanTransformer3DModel",
        {
            "patch_size": (1, 2, 2),
            "in_channels": 4,
            "out_channels": 4,
            "text_dim": TEXT,
            "freq_dim": 32,
            "ffn_dim": 96,
            "num_layers": 3,
            "cross_attn_norm": True,
            "qk_norm": "rms_norm_across_heads",
            "rope_max_seq_len": 64,
        },
        {"blocks": IMAGE},
        TEXTS,
        video=True,
    ),
}


class Denoiser(nn.Module):
    """Latents [B, C, (F,) H, W], timesteps [B], and what the architecture takes beside them."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        torch.manual_seed(0)
        self.m = getattr(diffusers, architecture.kind)(**HEADS, **architecture.config).eval()
        for parameter in self.m.parameters():
            if not parameter.isfinite().all() or not parameter.any():
                nn.init.normal_(parameter, std=0.1)

    def forward(self, sample: Tensor, timestep: Tensor, *rest: Tensor) -> Tensor:
        named = dict(zip(self.architecture.arguments, rest, strict=True))
        tokens = self.architecture.kind.startswith("LTX")
        hidden = sample
        if self.architecture.packed:
            hidden = nn.functional.pixel_unshuffle(sample, 2)
        if self.architecture.packed or tokens:
            hidden = hidden.flatten(2).transpose(1, 2)
        output = self.m(
            hidden_states=hidden,
            timestep=timestep,
            **named,
            **self.architecture.rest(sample),
            return_dict=False,
        )[0]
        if self.architecture.packed:
            rows, columns = sample.shape[2] // 2, sample.shape[3] // 2
            output = output.transpose(1, 2).unflatten(2, (rows, columns))
            return nn.functional.pixel_shuffle(output, 2)
        return output.transpose(1, 2).reshape(sample.shape) if tokens else output


class Decoder(nn.Module):
    """In place of a VAE, which is not what is compared."""

    def __init__(self, channels: int, video: bool) -> None:
        super().__init__()
        self.conv = (nn.Conv3d if video else nn.Conv2d)(channels, 3, 1)

    def forward(self, latents: Tensor) -> Tensor:
        return torch.tanh(self.conv(latents))


def inputs(architecture: Architecture, batch: int, height: int, width: int) -> list[Tensor]:
    """Of `height` x `width` cells; every row of a mask has tokens of its own number."""
    torch.manual_seed(batch)
    frames = (3,) if architecture.video else ()
    rows, columns = height // 2, width // 2
    positions = torch.zeros(rows, columns, 4)
    positions[..., 1] += torch.arange(rows)[:, None]
    positions[..., 2] += torch.arange(columns)[None]
    words = torch.zeros(TOKENS, 4)
    words[:, 3] = torch.arange(TOKENS)
    lengths = torch.arange(batch)[:, None] * 3 + 4
    made = {
        "encoder_hidden_states": torch.randn(batch, TOKENS, TEXT),
        "encoder_attention_mask": (torch.arange(TOKENS)[None] < lengths).long(),
        "pooled_projections": torch.randn(batch, POOLED),
        "guidance": torch.full((batch,), 3.5),
        "img_ids": positions.flatten(0, 1),
        "txt_ids": words,
        "original_size": torch.full((batch, 2), 64.0),
        "target_size": torch.full((batch, 2), 64.0),
        "crop_coords": torch.zeros(batch, 2),
    }
    latents = torch.randn(batch, architecture.channels, *frames, height, width)
    return [
        latents,
        torch.rand(batch) * architecture.timesteps,
        *(made[name] for name in architecture.arguments),
    ]


def described(architecture: Architecture, example: Sequence[Tensor]) -> list[dict[str, Any]]:
    free = {"text": "tokens", "mask": "tokens"}
    named = [("sample", "latent"), ("timestep", "timestep"), *architecture.arguments.items()]
    result = []
    for (name, role), tensor in zip(named, example, strict=True):
        shape: list[int | str] = list(tensor.shape)
        if role == "latent":
            shape[-2:] = ["height", "width"]
        elif role == "position_ids":
            shape[0] = "imageTokens" if name == "img_ids" else "tokens"
        elif role in free:
            shape[1] = free[role]
        if role != "position_ids":
            shape[0] = "batch"
        kinds = {torch.int64: "int64", torch.float32: "float32" if role == "timestep" else "float"}
        result.append({"name": name, "role": role, "dtype": kinds[tensor.dtype], "shape": shape})
    return result


def adapter(source: str | None, dtype: torch.dtype) -> Adapter:
    architecture = ARCHITECTURES[source]
    example, other = inputs(architecture, 2, 8, 8), inputs(architecture, 3, 8, 12)
    latents = example[0]
    blocks = [
        {"path": f"m.{path}.*", "streams": list(streams)}
        for path, streams in architecture.blocks.items()
    ]
    tokens = 8 // architecture.patch
    return Adapter(
        name=source,
        licence="MIT",
        transformer=Traceable(Denoiser(architecture), example, [other], blocks),
        components={
            "vae/decoder.pt": Traceable(
                Decoder(architecture.channels, architecture.video), [latents], [[other[0]]]
            )
        },
        description={
            "family": source,
            "transformer": {
                "inputs": described(architecture, example),
                "outputChannels": architecture.channels,
                "prediction": "flow",
                "tokenGrid": [tokens, tokens],
                "hiddenChannels": WIDTH,
            },
            "latent": {
                "channels": architecture.channels,
                "height": 8,
                "width": 8,
                **({"frames": 3} if architecture.video else {}),
            },
            "conditioning": {"kind": "tensors"},
            "scheduler": {
                "kind": "flow-match-euler",
                "timestepScale": architecture.timesteps,
            },
            "image": {"kind": "vae", "range": [-1, 1], "channels": 3},
            "vae": {
                "decoder": {"file": "vae/decoder.pt", "dtype": "float32"},
                "scale": 1,
                **({"frameScale": 1} if architecture.video else {}),
            },
        },
    )


def export(name: str, out: Path) -> None:
    export_adapter(Path(__file__), out, source=name)


@torch.inference_mode()
def answers(name: str) -> dict[str, Tensor]:
    """`input.NAME` for each, `output`, and `disrupted`: with CHANNELS of the image stream 0 behind block LAYER."""
    architecture = ARCHITECTURES[name]
    module = Denoiser(architecture)
    example = inputs(architecture, 2, 8, 8)
    (path, streams), *_ = architecture.blocks.items()

    def disrupt(_block: nn.Module, _inputs: Any, output: Any) -> Any:
        elements = list(output) if isinstance(output, tuple) else [output]
        hidden = elements[streams.index("image")].clone()
        hidden[..., list(CHANNELS)] = 0
        elements[streams.index("image")] = hidden
        return tuple(elements) if isinstance(output, tuple) else hidden

    output = module(*example)
    handle = module.m.get_submodule(f"{path}.{LAYER}").register_forward_hook(disrupt)
    disrupted = module(*example)
    handle.remove()
    names = ["sample", "timestep", *architecture.arguments]
    return {
        **{f"input.{name}": tensor for name, tensor in zip(names, example, strict=True)},
        "output": output,
        "disrupted": disrupted,
    }
