"""PixArt-alpha and PixArt-Sigma: T5 with a mask; alpha's 1024 model also takes the picture's size.

Captions are lower-cased and stripped, which is what diffusers does unless beautifulsoup4 and ftfy are
installed.
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
from models.export.modulation_table import record_modulations
from models.export.patch_embedding import make_resizable
from models.export.text_encoders import Encoder
from models.export.trace import Traceable

SEQUENCE_LENGTHS = {"PixArtSigmaPipeline": 300, "PixArtAlphaPipeline": 120}


class PixArtDenoiser(Denoiser):
    """Latents [B, C, H, W], timesteps [B] in 0 … 999, text [B, T, D], its mask [B, T] int64, and for
    alpha's 1024 model resolution [B, 2] and aspect ratio [B, 1] -> [B, C or 2 C, H, W]."""

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


class PixArt(Family):
    name = "pixart"
    pipelines = ("PixArtSigmaPipeline", "PixArtAlphaPipeline")
    encoders = {
        "text_encoder": Encoder(
            components.MaskedSequence, ("sequence",), inputs=("ids", "mask"), cleaning="lower"
        )
    }

    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        config = checkpoint.config("transformer")
        length = SEQUENCE_LENGTHS[checkpoint.pipeline_class]
        inputs = [
            described("hidden_states", "latent", config["in_channels"], "height", "width"),
            described("timestep", "timestep", dtype="float32"),
            described("encoder_hidden_states", "text", "tokens", config["caption_channels"]),
            described("encoder_attention_mask", "mask", "tokens", dtype="int64"),
        ]
        conditions: dict[str, Any] = {
            "encoder_hidden_states": {"from": "text_encoder", "output": "sequence"},
            "encoder_attention_mask": {"from": "text_encoder", "output": "mask"},
        }
        if sized(config):
            inputs.append(described("resolution", "size", 2, dtype="float32"))
            inputs.append(described("aspect_ratio", "size", 1, dtype="float32"))
            conditions["resolution"] = {"size": "resolution"}
            conditions["aspect_ratio"] = {"size": "aspect-ratio"}
        text = {
            "kind": "text",
            "maxSequenceLength": {"default": length, "maximum": 512},
            "inputs": conditions,
        }
        return Description(
            transformer={
                "inputs": inputs,
                # The rest of the output is the predicted variance.
                "outputChannels": config["in_channels"],
                "tokenGrid": square_grid(config),
                "hiddenChannels": width_of(config),
            },
            latent=square(config),
            conditioning=text if encoders else {"kind": "tensors"},
            defaults={"numInferenceSteps": 20, "guidance": {"classifierFree": {"scale": 4.5}}},
            massive_activations=massive_activations(
                self.name, {**config, "_pipeline": checkpoint.pipeline_class}, config["num_layers"]
            ),
        )

    def denoiser(self, transformer: nn.Module) -> Traceable:
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
            PixArtDenoiser(make_resizable(transformer)),
            inputs(2, 4, 4, 12),
            [inputs(3, 3, 5, 17)],
            [{"path": "transformer.transformer_blocks.*", "streams": ["image"]}],
        )


def sized(config: Mapping[str, Any]) -> bool:
    """Whether the transformer takes resolution and aspect ratio; by default that of size 128 does."""
    wanted = config.get("use_additional_conditions")
    return config["sample_size"] == 128 if wanted is None else wanted
