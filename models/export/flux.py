"""FLUX.1: dev, with the guidance scale as an input, and schnell, without.

The transformer works on packed latents, 2 x 2 cells a token. Packing and unpacking are inside the
trace; positions are inputs, so that one trace serves every size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.denoiser import Denoiser
from models.export.errors import ExportError
from models.export.family import Description, Family, described, width_of
from models.export.known_channels import massive_activations
from models.export.scheduler import Schedule, describe_scheduler
from models.export.text_encoders import Encoder
from models.export.trace import Traceable

PACK = 2
# Latent cells of a picture of 1024 pixels, the default of diffusers' pipeline.
DEFAULT_SIZE = 128


class FluxDenoiser(Denoiser):
    """Latents [B, C, H, W], timesteps [B] in 0 … 1, text [B, T, D], pooled [B, P], position ids of
    the image [H W / 4, 3] and of the text [T, 3], and for dev the guidance scale [B] -> [B, C, H, W]."""

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


class Flux(Family):
    name = "flux"
    pipelines = ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline")
    encoders = {
        "text_encoder": Encoder(components.Pooled, ("pooled",)),
        "text_encoder_2": Encoder(components.Sequence, ("sequence",)),
    }

    def refuse_variants(self, checkpoint: Checkpoint) -> None:
        channels = latent_channels(checkpoint.config("transformer"))
        own = checkpoint.config("vae")["latent_channels"]
        if channels != own:
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"The transformer of {checkpoint.name} takes {channels} channels of latent, its VAE has "
                f"{own}: a variant (Fill, Control, Kontext …) whose further inputs the exporter does not "
                "know.",
                received=channels,
                expected="FLUX.1 dev or schnell, or a fine-tune of them",
            )

    def schedule(self, checkpoint: Checkpoint) -> Schedule:
        return describe_scheduler(checkpoint.config("scheduler"), timestep_scale=1, trailing=True)

    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        config = checkpoint.config("transformer")
        dev = bool(config.get("guidance_embeds"))
        channels = latent_channels(config)
        return Description(
            transformer={
                "inputs": described_inputs(config, dev),
                "outputChannels": channels,
                "tokenGrid": [DEFAULT_SIZE // PACK, DEFAULT_SIZE // PACK],
                "hiddenChannels": width_of(config),
            },
            latent={"channels": channels, "height": DEFAULT_SIZE, "width": DEFAULT_SIZE},
            conditioning=conditioning(512 if dev else 256) if encoders else {"kind": "tensors"},
            defaults={
                "numInferenceSteps": 28 if dev else 4,
                "guidance": {"embedded": {"scale": 3.5}} if dev else {},
            },
            massive_activations=massive_activations(
                self.name, config, config["num_layers"] + config["num_single_layers"]
            ),
        )

    def denoiser(self, transformer: nn.Module) -> Traceable:
        config = transformer.config

        def inputs(batch: int, rows: int, columns: int, tokens: int) -> tuple[Tensor, ...]:
            positions = torch.zeros(rows, columns, 3)
            positions[..., 1] += torch.arange(rows)[:, None]
            positions[..., 2] += torch.arange(columns)[None]
            values = (
                torch.randn(batch, latent_channels(config), PACK * rows, PACK * columns),
                torch.linspace(0.9, 0.02, batch),
                torch.randn(batch, tokens, config.joint_attention_dim),
                torch.randn(batch, config.pooled_projection_dim),
                positions.flatten(0, 1),
                torch.zeros(tokens, 3),
            )
            return (*values, torch.linspace(1, 4, batch)) if config.guidance_embeds else values

        streams = ["text", "image"]
        return Traceable(
            FluxDenoiser(transformer),
            inputs(2, 4, 4, 11),
            [inputs(3, 3, 5, 14)],
            [
                {"path": "transformer.transformer_blocks.*", "streams": streams},
                {"path": "transformer.single_transformer_blocks.*", "streams": streams},
            ],
        )


def latent_channels(config: Mapping[str, Any]) -> int:
    """Before they are packed."""
    return config["in_channels"] // (PACK * PACK)


def described_inputs(config: Mapping[str, Any], dev: bool) -> list[dict[str, Any]]:
    inputs = [
        described("hidden_states", "latent", latent_channels(config), "height", "width"),
        described("timestep", "timestep", dtype="float32"),
        described("encoder_hidden_states", "text", "tokens", config["joint_attention_dim"]),
        described("pooled_projections", "pooled", config["pooled_projection_dim"]),
        *(
            {"name": name, "role": "position_ids", "dtype": "float32", "shape": [tokens, 3]}
            for name, tokens in (("img_ids", "imageTokens"), ("txt_ids", "tokens"))
        ),
    ]
    return [*inputs, described("guidance", "guidance", dtype="float32")] if dev else inputs


def conditioning(length: int) -> dict[str, Any]:
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
