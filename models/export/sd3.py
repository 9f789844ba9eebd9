"""Stable Diffusion 3 and 3.5: two CLIP encoders and, unless the checkpoint lacks it, T5.

Missing encoders are treated as diffusers' pipeline treats them: without T5 its part of the prompt is
zeros; without any encoder the caller gives the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.denoiser import Denoiser
from models.export.family import Description, Family, described, square, square_grid, width_of
from models.export.known_channels import massive_activations
from models.export.text_encoders import Encoder
from models.export.trace import Traceable

MAX_SEQUENCE_LENGTH = {"default": 256, "maximum": 512}


class Sd3Denoiser(Denoiser):
    """Latents [B, C, H, W], timesteps [B] in 0 … 1000, text [B, T, D], pooled [B, P] -> [B, C, H, W]."""

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


class Sd3(Family):
    name = "sd3"
    pipelines = (
        "StableDiffusion3Pipeline",
        "StableDiffusion3Img2ImgPipeline",
        "StableDiffusion3InpaintPipeline",
    )
    encoders = {
        "text_encoder": Encoder(components.HiddenLayer, ("sequence", "pooled")),
        "text_encoder_2": Encoder(components.HiddenLayer, ("sequence", "pooled")),
        "text_encoder_3": Encoder(components.Sequence, ("sequence",)),
    }
    optional_encoders = frozenset({"text_encoder_3"})

    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        config = checkpoint.config("transformer")
        largest = config["pos_embed_max_size"] * config["patch_size"]
        return Description(
            transformer={
                "inputs": [
                    described("hidden_states", "latent", config["in_channels"], "height", "width"),
                    described("timestep", "timestep", dtype="float32"),
                    described(
                        "encoder_hidden_states", "text", "tokens", config["joint_attention_dim"]
                    ),
                    described("pooled_projections", "pooled", config["pooled_projection_dim"]),
                ],
                "outputChannels": config.get("out_channels") or config["in_channels"],
                "jointAttention": "image-first",
                "tokenGrid": square_grid(config),
                "hiddenChannels": width_of(config),
            },
            latent={**square(config), "maxHeight": largest, "maxWidth": largest},
            conditioning=conditioning(config, encoders),
            defaults={"numInferenceSteps": 28, "guidance": {"classifierFree": {"scale": 7.0}}},
            massive_activations=massive_activations(self.name, config, config["num_layers"]),
        )

    def denoiser(self, transformer: nn.Module) -> Traceable:
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
            Sd3Denoiser(transformer),
            inputs(2, 4 * patch, 4 * patch, 11),
            [inputs(3, 3 * patch, 5 * patch, 14)],
            [{"path": "transformer.transformer_blocks.*", "streams": ["text", "image"]}],
        )


def conditioning(config: Mapping[str, Any], encoders: frozenset[str]) -> dict[str, Any]:
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
