"""FLUX.1: dev, with the guidance scale as an input, and schnell, without.

The transformer works on packed latents, 2 x 2 cells a token. Packing and unpacking are inside the
trace; positions are inputs, so that one trace serves every size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.dtypes import DTYPES
from models.export.errors import ExportError
from models.export.family import (
    Component,
    Plan,
    describe_encoder,
    described,
    encoder_components,
    picture,
    vae_components,
    without_nothing,
)
from models.export.known_channels import massive_activations
from models.export.scheduler import describe_scheduler
from models.export.trace import Traceable

FAMILY = "flux"
PIPELINES = ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline")
ENCODERS = {"text_encoder": components.Pooled, "text_encoder_2": components.Sequence}
PACK = 2
# Latent cells of a picture of 1024 pixels, the default of diffusers' pipeline.
DEFAULT_SIZE = 128


class Denoiser(nn.Module):
    """Latents [B, C, H, W], timesteps [B] in 0 … 1, text [B, T, D], pooled [B, P], position ids of
    the image [H W / 4, 3] and of the text [T, 3], and for dev the guidance scale [B] -> [B, C, H, W]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        pooled_projections: Tensor,
        img_ids: Tensor,
        txt_ids: Tensor,
        guidance: Tensor | None = None,
    ) -> Tensor:
        tokens = self.transformer(
            hidden_states=pack(hidden_states),
            timestep=timestep,
            encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections,
            img_ids=img_ids,
            txt_ids=txt_ids,
            guidance=guidance,
            return_dict=False,
        )[0]
        return unpack(tokens, hidden_states)


def pack(latents: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H W / 4, 4 C], as FluxPipeline._pack_latents."""
    return nn.functional.pixel_unshuffle(latents, PACK).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, latents: Tensor) -> Tensor:
    """Back to the shape of `latents`."""
    batch, channels, height, width = latents.shape
    grid = tokens.transpose(1, 2).reshape(
        batch, channels * PACK * PACK, height // PACK, width // PACK
    )
    return nn.functional.pixel_shuffle(grid, PACK)


def plan(checkpoint: Checkpoint, dtype: str) -> Plan:
    config = checkpoint.config("transformer")
    channels = config["in_channels"] // (PACK * PACK)
    if channels != checkpoint.config("vae")["latent_channels"]:
        raise ExportError(
            "CHECKPOINT_UNSUPPORTED",
            f"The transformer of {checkpoint.name} takes {channels} channels of latent, its VAE has "
            f"{checkpoint.config('vae')['latent_channels']}: a variant (Fill, Control, Kontext …) whose "
            "further inputs the exporter does not know.",
            received=channels,
            expected="FLUX.1 dev or schnell, or a fine-tune of them",
        )
    schedule = describe_scheduler(checkpoint.config("scheduler"), timestep_scale=1, trailing=True)
    encoders = {name: wrapper for name, wrapper in ENCODERS.items() if checkpoint.has(name)}
    if encoders:
        for name in ENCODERS:
            checkpoint.require(name)
    transformer = Component(
        "transformer", "transformer.pt", "transformer", trace=lambda: denoiser(checkpoint, dtype)
    )
    dev = bool(config.get("guidance_embeds"))
    layers = config["num_layers"] + config["num_single_layers"]

    def describe(records) -> dict[str, Any]:
        rules = {name: records[name.replace("text_encoder", "tokenizer")] for name in encoders}
        outputs = {"text_encoder": ["pooled"], "text_encoder_2": ["sequence"]}
        return without_nothing(
            {
                "family": FAMILY,
                "transformer": describe_transformer(config, dtype, records, schedule.prediction),
                "latent": {"channels": channels, "height": DEFAULT_SIZE, "width": DEFAULT_SIZE},
                "textEncoders": {
                    name: describe_encoder(
                        checkpoint, name, dtype, rules[name], outputs=outputs[name]
                    )
                    for name in encoders
                }
                or None,
                "conditioning": conditioning(bool(encoders), 512 if dev else 256),
                "scheduler": schedule.options,
                "image": picture(),
                "vae": components.describe_vae(checkpoint, dtype),
                "massiveActivations": massive_activations(FAMILY, config, layers),
                "defaults": {
                    "numInferenceSteps": 28 if dev else 4,
                    "guidance": {"embedded": {"scale": 3.5}} if dev else {},
                },
            }
        )

    parts = [*encoder_components(checkpoint, dtype, encoders), transformer]
    return Plan([*parts, *vae_components(checkpoint, dtype)], describe, schedule.notes)


def denoiser(checkpoint: Checkpoint, dtype: str) -> Traceable:
    transformer = checkpoint.load("transformer", DTYPES[dtype])
    config = transformer.config

    def inputs(batch: int, rows: int, columns: int, tokens: int) -> tuple[Tensor, ...]:
        positions = torch.zeros(rows, columns, 3)
        positions[..., 1] += torch.arange(rows)[:, None]
        positions[..., 2] += torch.arange(columns)[None]
        values = (
            torch.randn(batch, config.in_channels // (PACK * PACK), PACK * rows, PACK * columns),
            torch.linspace(0.9, 0.02, batch),
            torch.randn(batch, tokens, config.joint_attention_dim),
            torch.randn(batch, config.pooled_projection_dim),
            positions.flatten(0, 1),
            torch.zeros(tokens, 3),
        )
        return (*values, torch.linspace(1, 4, batch)) if config.guidance_embeds else values

    streams = ["text", "image"]
    return Traceable(
        Denoiser(transformer),
        inputs(2, 4, 4, 11),
        [inputs(3, 3, 5, 14)],
        [
            {"path": "transformer.transformer_blocks.*", "streams": streams},
            {"path": "transformer.single_transformer_blocks.*", "streams": streams},
        ],
    )


def describe_transformer(config, dtype: str, records, prediction: str) -> dict[str, Any]:
    channels = config["in_channels"] // (PACK * PACK)
    inputs = [
        described("hidden_states", "latent", channels, "height", "width"),
        described("timestep", "timestep", dtype="float32"),
        described("encoder_hidden_states", "text", "tokens", config["joint_attention_dim"]),
        described("pooled_projections", "pooled", config["pooled_projection_dim"]),
        {
            "name": "img_ids",
            "role": "position_ids",
            "dtype": "float32",
            "shape": ["imageTokens", 3],
        },
        {"name": "txt_ids", "role": "position_ids", "dtype": "float32", "shape": ["tokens", 3]},
    ]
    if config.get("guidance_embeds"):
        inputs.append(described("guidance", "guidance", dtype="float32"))
    return {
        "file": "transformer.pt",
        "dtype": dtype,
        "inputs": inputs,
        "blocks": records["transformer"]["blocks"],
        "outputChannels": channels,
        "prediction": prediction,
        "tokenGrid": [DEFAULT_SIZE // PACK, DEFAULT_SIZE // PACK],
        "hiddenChannels": config["num_attention_heads"] * config["attention_head_dim"],
    }


def conditioning(with_encoders: bool, length: int) -> dict[str, Any]:
    if not with_encoders:
        return {"kind": "tensors"}
    return {
        "kind": "text",
        "maxSequenceLength": {"default": length, "maximum": 512},
        "inputs": {
            "encoder_hidden_states": {"from": "text_encoder_2", "output": "sequence"},
            "pooled_projections": {"from": "text_encoder", "output": "pooled"},
            "img_ids": {"positions": "grid", "axes": 3},
            "txt_ids": {"positions": "zeros", "axes": 3, "like": "encoder_hidden_states"},
        },
    }
