"""PixArt-alpha and PixArt-Sigma: T5 with a mask; alpha's 1024 model also takes the picture's size.

Captions are lower-cased and stripped, which is what diffusers does unless beautifulsoup4 and ftfy are
installed.
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
from models.export.modulation_table import record_modulations
from models.export.patch_embedding import make_resizable
from models.export.scheduler import describe_scheduler
from models.export.trace import Traceable

FAMILY = "pixart"
PIPELINES = ("PixArtSigmaPipeline", "PixArtAlphaPipeline")
SEQUENCE_LENGTHS = {"PixArtSigmaPipeline": 300, "PixArtAlphaPipeline": 120}


class Denoiser(nn.Module):
    """Latents [B, C, H, W], timesteps [B] in 0 … 999, text [B, T, D], its mask [B, T] int64, and for
    alpha's 1024 model resolution [B, 2] and aspect ratio [B, 1] -> [B, C or 2 C, H, W]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor,
        resolution: Tensor | None = None,
        aspect_ratio: Tensor | None = None,
    ) -> Tensor:
        return self.transformer(
            hidden_states,
            timestep=timestep,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            added_cond_kwargs={"resolution": resolution, "aspect_ratio": aspect_ratio},
            return_dict=False,
        )[0]


def sized(config) -> bool:
    """Whether the transformer takes resolution and aspect ratio; by default that of size 128 does."""
    wanted = config.get("use_additional_conditions")
    return config["sample_size"] == 128 if wanted is None else wanted


def plan(checkpoint: Checkpoint, dtype: str) -> Plan:
    config = checkpoint.config("transformer")
    schedule = describe_scheduler(checkpoint.config("scheduler"))
    encoders = {"text_encoder": components.MaskedSequence} if checkpoint.has("text_encoder") else {}
    length = SEQUENCE_LENGTHS[checkpoint.pipeline_class]
    text = {"from": "text_encoder", "output": "sequence"}
    conditions: dict[str, Any] = {
        "encoder_hidden_states": text,
        "encoder_attention_mask": {"from": "text_encoder", "output": "mask"},
    }
    if sized(config):
        conditions["resolution"] = {"size": "resolution"}
        conditions["aspect_ratio"] = {"size": "aspect-ratio"}

    def describe(records) -> dict[str, Any]:
        return without_nothing(
            {
                "family": FAMILY,
                "transformer": describe_transformer(config, dtype, records, schedule.prediction),
                "latent": {
                    "channels": config["in_channels"],
                    "height": config["sample_size"],
                    "width": config["sample_size"],
                },
                "textEncoders": {
                    name: describe_encoder(
                        checkpoint,
                        name,
                        dtype,
                        records["tokenizer"],
                        inputs=["ids", "mask"],
                        outputs=["sequence"],
                        cleaning="lower",
                    )
                    for name in encoders
                }
                or None,
                "conditioning": {
                    "kind": "text",
                    "maxSequenceLength": {"default": length, "maximum": 512},
                    "inputs": conditions,
                }
                if encoders
                else {"kind": "tensors"},
                "scheduler": schedule.options,
                "image": picture(),
                "vae": components.describe_vae(checkpoint, dtype),
                "massiveActivations": massive_activations(
                    FAMILY, {**config, "_pipeline": checkpoint.pipeline_class}, config["num_layers"]
                ),
                "defaults": {
                    "numInferenceSteps": 20,
                    "guidance": {"classifierFree": {"scale": 4.5}},
                },
            }
        )

    transformer = Component(
        "transformer", "transformer.pt", "transformer", trace=lambda: denoiser(checkpoint, dtype)
    )
    parts = [*encoder_components(checkpoint, dtype, encoders), transformer]
    return Plan([*parts, *vae_components(checkpoint, dtype)], describe, schedule.notes)


def denoiser(checkpoint: Checkpoint, dtype: str) -> Traceable:
    transformer = checkpoint.load("transformer", DTYPES[dtype])
    record_modulations(transformer.transformer_blocks)
    config = transformer.config

    def inputs(batch: int, rows: int, columns: int, tokens: int) -> tuple[Tensor, ...]:
        patch = config.patch_size
        lengths = torch.arange(batch)[:, None] * 3 + 4
        values = (
            torch.randn(batch, config.in_channels, patch * rows, patch * columns),
            torch.linspace(900.0, 20.0, batch),
            torch.randn(batch, tokens, config.caption_channels),
            (torch.arange(tokens)[None] < lengths).long(),
        )
        if not transformer.use_additional_conditions:
            return values
        return (
            *values,
            torch.tensor([[512.0, 768.0]]).repeat(batch, 1),
            torch.full((batch, 1), 512 / 768),
        )

    return Traceable(
        Denoiser(make_resizable(transformer)),
        inputs(2, 4, 4, 12),
        [inputs(3, 3, 5, 17)],
        [{"path": "transformer.transformer_blocks.*", "streams": ["image"]}],
    )


def describe_transformer(config, dtype: str, records, prediction: str) -> dict[str, Any]:
    size, patch = config["sample_size"], config["patch_size"]
    inputs = [
        described("hidden_states", "latent", config["in_channels"], "height", "width"),
        described("timestep", "timestep", dtype="float32"),
        described("encoder_hidden_states", "text", "tokens", config["caption_channels"]),
        described("encoder_attention_mask", "mask", "tokens", dtype="int64"),
    ]
    if sized(config):
        inputs.append(described("resolution", "size", 2, dtype="float32"))
        inputs.append(described("aspect_ratio", "size", 1, dtype="float32"))
    return {
        "file": "transformer.pt",
        "dtype": dtype,
        "inputs": inputs,
        "blocks": records["transformer"]["blocks"],
        # The rest of the output is the predicted variance.
        "outputChannels": config["in_channels"],
        "prediction": prediction,
        "tokenGrid": [size // patch, size // patch],
        "hiddenChannels": config["num_attention_heads"] * config["attention_head_dim"],
    }
