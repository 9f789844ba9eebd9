"""The models of the parity tests: small, randomly initialised diffusers transformers.

Each is wrapped so that its forward takes (sample, timestep, ...) positionally, which is what
torch.jit.trace asks for. Text and image have different numbers of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.models import (
    DiTTransformer2DModel,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
)
from torch import Tensor, nn

from models.export.bundle import read_manifest
from models.trained import load_transformer

SIZE, CHANNELS, TEXT_TOKENS = 8, 3, 6
GRID = (4, 4)
WIDTH = 48
# Stand out from the others at every token, as massive activations do.
LOUD_CHANNELS = (7, 19)


@dataclass
class Subject:
    """An eager model with what the reference has to know about it.

    layers: paths of the blocks in order of evaluation; streams: of their outputs, in the order in
    which the eager block returns them (one: it returns a tensor); stream_arguments: the names of
    the block's arguments that carry them; image_first: whether joint attention puts the image's
    tokens before the text's.
    """

    module: nn.Module
    inputs: list[dict[str, Any]]
    examples: Sequence[Tensor]
    layers: list[str]
    streams: tuple[str, ...] = ("image",)
    stream_arguments: tuple[str, ...] = ("hidden_states",)
    image_first: bool = False
    grid: tuple[int, int] = GRID
    output_channels: int = CHANNELS
    description: dict[str, Any] = field(default_factory=dict)


def randomise(module: nn.Module, seed: int, embedding: nn.Module) -> nn.Module:
    """Every weight random and none silent; attention that is far from uniform; loud channels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
            scale = fan_in**-0.5 if parameter.dim() > 1 else 0.1
            noise = torch.randn(parameter.shape, generator=generator) * scale
            if parameter.dim() > 1:
                parameter.copy_(noise)
            else:
                parameter.add_(noise)
            if any(key in name for key in ("to_q", "to_k", "add_q", "add_k")):
                parameter.mul_(2)
        embedding.bias[list(LOUD_CHANNELS)] += torch.tensor([8.0, -6.0])
    return module.eval().requires_grad_(False)


LATENT_INPUT = {
    "name": "sample",
    "role": "latent",
    "dtype": "float",
    "shape": ["batch", CHANNELS, SIZE, SIZE],
}
TEXT_INPUT = {
    "name": "text",
    "role": "text",
    "dtype": "float",
    "shape": ["batch", TEXT_TOKENS, 24],
}
POOLED_INPUT = {"name": "pooled", "role": "pooled", "dtype": "float", "shape": ["batch", 12]}


def timestep_input(dtype: str = "float32") -> dict[str, Any]:
    return {"name": "timestep", "role": "timestep", "dtype": dtype, "shape": ["batch"]}


def describe(subject: Subject, name: str, family: str, **rest: Any) -> dict[str, Any]:
    """bundle.json, streams in the eager order: write_bundle puts them in that of the trace."""
    containers = dict.fromkeys(path.rsplit(".", 1)[0] for path in subject.layers)
    return {
        "name": name,
        "family": family,
        "licence": "MIT",
        "transformer": {
            "inputs": subject.inputs,
            "blocks": [
                {"path": f"{path}.*", "streams": list(subject.streams)} for path in containers
            ],
            "outputChannels": subject.output_channels,
            "prediction": "flow",
            "tokenGrid": list(subject.grid),
            "hiddenChannels": WIDTH,
            **rest.pop("transformer", {}),
        },
        "latent": {"channels": CHANNELS, "height": SIZE, "width": SIZE},
        "conditioning": {"kind": "tensors"},
        "image": {"kind": "pixels", "range": [-1, 1], "channels": CHANNELS},
        "massiveActivations": {
            "stream": "image",
            "layer": len(subject.layers) // 2,
            "channels": list(LOUD_CHANNELS),
        },
        **rest,
    }


class DiT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = DiTTransformer2DModel(
            num_attention_heads=3,
            attention_head_dim=WIDTH // 3,
            in_channels=CHANNELS,
            out_channels=2 * CHANNELS,
            num_layers=4,
            sample_size=SIZE,
            patch_size=2,
            num_embeds_ada_norm=10,
        )

    def forward(self, sample: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        return self.m(sample, timestep=timestep, class_labels=label, return_dict=False)[0]


def dit() -> Subject:
    torch.manual_seed(1)
    module = DiT()
    randomise(module, 1, module.m.pos_embed.proj)
    subject = Subject(
        module=module,
        inputs=[
            LATENT_INPUT,
            timestep_input("int64"),
            {"name": "class", "role": "class", "dtype": "int64", "shape": ["batch"]},
        ],
        examples=(
            torch.randn(2, CHANNELS, SIZE, SIZE),
            torch.tensor([500, 20]),
            torch.tensor([3, 10]),
        ),
        layers=[f"m.transformer_blocks.{layer}" for layer in range(4)],
    )
    subject.description = describe(
        subject,
        "random-dit",
        "dit",
        transformer={"prediction": "epsilon"},
        conditioning={"kind": "class", "numClasses": 10, "nullClass": 10},
        scheduler={"kind": "ddim", "timestepSpacing": "trailing"},
    )
    return subject


class StableDiffusion3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = SD3Transformer2DModel(
            sample_size=SIZE,
            patch_size=2,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_layers=4,
            attention_head_dim=WIDTH // 3,
            num_attention_heads=3,
            joint_attention_dim=24,
            caption_projection_dim=WIDTH,
            pooled_projection_dim=12,
            pos_embed_max_size=SIZE,
            dual_attention_layers=(0, 1),
            qk_norm="rms_norm",
        )

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor, pooled: Tensor) -> Tensor:
        return self.m(
            hidden_states=sample,
            timestep=timestep,
            encoder_hidden_states=text,
            pooled_projections=pooled,
            return_dict=False,
        )[0]


JOINT_STREAMS = {
    "streams": ("text", "image"),
    "stream_arguments": ("encoder_hidden_states", "hidden_states"),
}


def sd3() -> Subject:
    torch.manual_seed(2)
    module = StableDiffusion3()
    randomise(module, 2, module.m.pos_embed.proj)
    subject = Subject(
        module=module,
        inputs=[LATENT_INPUT, timestep_input(), TEXT_INPUT, POOLED_INPUT],
        examples=(
            torch.randn(2, CHANNELS, SIZE, SIZE),
            torch.tensor([500.0, 20.0]),
            torch.randn(2, TEXT_TOKENS, 24),
            torch.randn(2, 12),
        ),
        layers=[f"m.transformer_blocks.{layer}" for layer in range(4)],
        image_first=True,
        **JOINT_STREAMS,
    )
    subject.description = describe(
        subject,
        "random-sd3",
        "sd3",
        transformer={"jointAttention": "image-first"},
        scheduler={"kind": "flow-match-euler", "shift": 3, "timestepScale": 1000},
    )
    return subject


class Flux(nn.Module):
    """Packs 2 x 2 patches of the latent into tokens, as the pipeline of Flux does outside."""

    def __init__(self) -> None:
        super().__init__()
        self.m = FluxTransformer2DModel(
            patch_size=1,
            in_channels=4 * CHANNELS,
            num_layers=2,
            num_single_layers=3,
            attention_head_dim=WIDTH // 3,
            num_attention_heads=3,
            joint_attention_dim=24,
            pooled_projection_dim=12,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        )

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        text: Tensor,
        pooled: Tensor,
        image_ids: Tensor,
        text_ids: Tensor,
        guidance: Tensor,
    ) -> Tensor:
        packed = nn.functional.pixel_unshuffle(sample, 2).flatten(2).transpose(1, 2)
        tokens = self.m(
            hidden_states=packed,
            timestep=timestep,
            encoder_hidden_states=text,
            pooled_projections=pooled,
            img_ids=image_ids,
            txt_ids=text_ids,
            guidance=guidance,
            return_dict=False,
        )[0]
        return nn.functional.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, GRID), 2)


def flux() -> Subject:
    torch.manual_seed(3)
    module = Flux()
    randomise(module, 3, module.m.x_embedder)
    positions = torch.zeros(GRID[0] * GRID[1], 3)
    positions[:, 1] = torch.arange(len(positions)) // GRID[1]
    positions[:, 2] = torch.arange(len(positions)) % GRID[1]
    subject = Subject(
        module=module,
        inputs=[
            LATENT_INPUT,
            timestep_input(),
            TEXT_INPUT,
            POOLED_INPUT,
            {
                "name": "image_ids",
                "role": "position_ids",
                "dtype": "float32",
                "shape": [len(positions), 3],
            },
            {
                "name": "text_ids",
                "role": "position_ids",
                "dtype": "float32",
                "shape": [TEXT_TOKENS, 3],
            },
            {"name": "guidance", "role": "guidance", "dtype": "float32", "shape": ["batch"]},
        ],
        examples=(
            torch.randn(2, CHANNELS, SIZE, SIZE),
            torch.tensor([0.5, 0.02]),
            torch.randn(2, TEXT_TOKENS, 24),
            torch.randn(2, 12),
            positions,
            torch.zeros(TEXT_TOKENS, 3),
            torch.tensor([3.5, 1.0]),
        ),
        layers=[
            *(f"m.transformer_blocks.{layer}" for layer in range(2)),
            *(f"m.single_transformer_blocks.{layer}" for layer in range(3)),
        ],
        **JOINT_STREAMS,
    )
    subject.description = describe(
        subject,
        "random-flux",
        "flux",
        scheduler={"kind": "flow-match-euler", "shift": 3, "timestepScale": 1},
    )
    return subject


def embedded(folder: Path) -> Subject:
    """The embedded model's own eager class with the weights in the bundle's state dict."""
    module = load_transformer(folder)
    manifest = read_manifest(folder)
    return Subject(
        module=module,
        inputs=manifest["transformer"]["inputs"],
        examples=(),
        layers=[f"blocks.{layer}" for layer in range(len(module.blocks))],
        stream_arguments=("x",),
        grid=tuple(manifest["transformer"]["tokenGrid"]),
        description=manifest,
    )


SUBJECTS = {"dit": dit, "sd3": sd3, "flux": flux}
