"""Stable Diffusion 3 and 3.5: two CLIP encoders and, unless the checkpoint lacks it, T5.

Missing encoders are treated as diffusers' pipeline treats them: without T5 its part of the prompt is
zeros; without any encoder the caller gives the embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.dtypes import DTYPES
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

FAMILY = "sd3"
PIPELINES = (
    "StableDiffusion3Pipeline",
    "StableDiffusion3Img2ImgPipeline",
    "StableDiffusion3InpaintPipeline",
)
ENCODERS = {
    "text_encoder": components.HiddenLayer,
    "text_encoder_2": components.HiddenLayer,
    "text_encoder_3": components.Sequence,
}
MAX_SEQUENCE_LENGTH = {"default": 256, "maximum": 512}


class Denoiser(nn.Module):
    """Latents [B, C, H, W], timesteps [B] in 0 … 1000, text [B, T, D], pooled [B, P] -> [B, C, H, W]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        pooled_projections: Tensor,
    ) -> Tensor:
        return self.transformer(
            hidden_states=hidden_states,
            timestep=timestep,
            encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections,
            return_dict=False,
        )[0]


def plan(checkpoint: Checkpoint, dtype: str) -> Plan:
    config = checkpoint.config("transformer")
    schedule = describe_scheduler(checkpoint.config("scheduler"))
    encoders = {name: wrapper for name, wrapper in ENCODERS.items() if checkpoint.has(name)}
    if encoders:
        for name in ("text_encoder", "text_encoder_2"):
            checkpoint.require(name)
    transformer = Component(
        "transformer", "transformer.pt", "transformer", trace=lambda: denoiser(checkpoint, dtype)
    )

    def describe(records) -> dict[str, Any]:
        return without_nothing(
            {
                "family": FAMILY,
                "transformer": describe_transformer(config, dtype, records, schedule.prediction),
                "latent": describe_latent(config),
                "textEncoders": {
                    name: describe_encoder(
                        checkpoint,
                        name,
                        dtype,
                        records[name.replace("text_encoder", "tokenizer")],
                        outputs=["sequence"]
                        if name == "text_encoder_3"
                        else ["sequence", "pooled"],
                    )
                    for name in encoders
                }
                or None,
                "conditioning": conditioning(config, set(encoders)),
                "scheduler": schedule.options,
                "image": picture(),
                "vae": components.describe_vae(checkpoint, dtype),
                "massiveActivations": massive_activations(FAMILY, config, config["num_layers"]),
                "defaults": {
                    "numInferenceSteps": 28,
                    "guidance": {"classifierFree": {"scale": 7.0}},
                },
            }
        )

    parts = [*encoder_components(checkpoint, dtype, encoders), transformer]
    return Plan([*parts, *vae_components(checkpoint, dtype)], describe, schedule.notes)


def denoiser(checkpoint: Checkpoint, dtype: str) -> Traceable:
    transformer = checkpoint.load("transformer", DTYPES[dtype])
    config = transformer.config

    def inputs(batch: int, height: int, width: int, tokens: int) -> tuple[Tensor, ...]:
        return (
            torch.randn(batch, config.in_channels, height, width),
            torch.linspace(900.0, 20.0, batch),
            torch.randn(batch, tokens, config.joint_attention_dim),
            torch.randn(batch, config.pooled_projection_dim),
        )

    patch = config.patch_size
    return Traceable(
        Denoiser(transformer),
        inputs(2, 4 * patch, 4 * patch, 11),
        [inputs(3, 3 * patch, 5 * patch, 14)],
        [{"path": "transformer.transformer_blocks.*", "streams": ["text", "image"]}],
    )


def describe_transformer(config, dtype: str, records, prediction: str) -> dict[str, Any]:
    size, patch = config["sample_size"], config["patch_size"]
    return {
        "file": "transformer.pt",
        "dtype": dtype,
        "inputs": [
            described("hidden_states", "latent", config["in_channels"], "height", "width"),
            described("timestep", "timestep", dtype="float32"),
            described("encoder_hidden_states", "text", "tokens", config["joint_attention_dim"]),
            described("pooled_projections", "pooled", config["pooled_projection_dim"]),
        ],
        "blocks": records["transformer"]["blocks"],
        "outputChannels": config.get("out_channels") or config["in_channels"],
        "prediction": prediction,
        "jointAttention": "image-first",
        "tokenGrid": [size // patch, size // patch],
        "hiddenChannels": config["num_attention_heads"] * config["attention_head_dim"],
    }


def describe_latent(config) -> dict[str, Any]:
    size = config["sample_size"]
    largest = config["pos_embed_max_size"] * config["patch_size"]
    return {
        "channels": config["in_channels"],
        "height": size,
        "width": size,
        "maxHeight": largest,
        "maxWidth": largest,
    }


def conditioning(config, encoders: set[str]) -> dict[str, Any]:
    """Both CLIP sequences side by side, filled up with zeros to T5's width, and T5's after them."""
    if not encoders:
        return {"kind": "tensors"}
    width = config["joint_attention_dim"]
    clip = ("text_encoder", "text_encoder_2")
    t5 = (
        {"from": "text_encoder_3", "output": "sequence"}
        if "text_encoder_3" in encoders
        else {"zeros": {"tokens": "maxSequenceLength", "channels": width}}
    )
    return {
        "kind": "text",
        "maxSequenceLength": MAX_SEQUENCE_LENGTH,
        "inputs": {
            "encoder_hidden_states": {
                "join": "tokens",
                "of": [
                    {
                        "join": "channels",
                        "padTo": width,
                        "of": [{"from": name, "output": "sequence"} for name in clip],
                    },
                    t5,
                ],
            },
            "pooled_projections": {
                "join": "channels",
                "of": [{"from": name, "output": "pooled"} for name in clip],
            },
        },
    }
