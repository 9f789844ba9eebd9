"""Wan 2.1, text to video: latents are [B, C, frames, H, W]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.denoiser import Denoiser
from models.export.errors import ExportError
from models.export.family import Description, Family, described, vae_part, width_of
from models.export.modulation_table import record_modulations
from models.export.plan import Component
from models.export.text_encoders import Encoder
from models.export.trace import Traceable
from models.export.video_decoder import video_decoder

# The pipeline's defaults: 81 frames of 480 x 832 pixels, 16 of them a second.
FRAMES, HEIGHT, WIDTH, FRAME_RATE = 81, 480, 832, 16


class WanDenoiser(Denoiser):
    """Latents [B, C, F, H, W], timesteps [B] in 0 … 1000, text [B, T, D] -> [B, C, F, H, W]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__(transformer)
        transformer.set_attn_processor(Attention())
        record_modulations(transformer.blocks)
        for block in transformer.blocks:
            block.register_forward_pre_hook(with_own_modulation)

    def forward(
        self, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor
    ) -> Tensor:
        return self.transformer(hidden_states, timestep, encoder_hidden_states, return_dict=False)[
            0
        ]


def with_own_modulation(block: nn.Module, arguments: tuple) -> tuple:
    """Every block gets a copy: it makes the modulation float32, which for a float32 tensor is that
    tensor itself, and a trace would then have the first block return it to all others."""
    hidden_states, encoder_hidden_states, modulation, positions = arguments
    return hidden_states, encoder_hidden_states, modulation.clone(), positions


class Attention:
    """diffusers' WanAttnProcessor for text, without writing into slices: the same numbers."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None
    ):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (attn.heads, -1))
        key = attn.norm_k(attn.to_k(context)).unflatten(2, (attn.heads, -1))
        value = attn.to_v(context).unflatten(2, (attn.heads, -1))
        if rotary_emb is not None:
            query, key = rotated(query, *rotary_emb), rotated(key, *rotary_emb)
        result = nn.functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        result = result.transpose(1, 2).flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](result))


def rotated(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions; neighbouring channels are a pair."""
    even, odd = states.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosines[..., 0::2], sines[..., 1::2]
    turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    return turned.flatten(-2).type_as(states)


class Wan(Family):
    name = "wan"
    pipelines = ("WanPipeline",)
    encoders = {
        "text_encoder": Encoder(
            components.MaskedSequence, ("sequence",), inputs=("ids", "mask"), cleaning="html"
        )
    }

    def refuse_variants(self, checkpoint: Checkpoint) -> None:
        """The Wans that take more than text."""
        config = checkpoint.config("transformer")
        index = checkpoint.index
        reasons = {
            "it takes a picture (image to video)": config.get("image_dim")
            or config.get("added_kv_proj_dim"),
            "it has two transformers (Wan 2.2)": checkpoint.has("transformer_2")
            or index.get("boundary_ratio") is not None,
            "it has a timestep for each token (Wan 2.2)": index.get("expand_timesteps"),
            "its VAE works on patches (Wan 2.2)": checkpoint.config("vae").get("patch_size"),
        }
        for reason, holds in reasons.items():
            if holds:
                raise ExportError(
                    "CHECKPOINT_UNSUPPORTED",
                    f"{checkpoint.name} cannot be exported: {reason}.",
                    received=reason,
                    expected="Wan 2.1 text to video",
                )

    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        config = checkpoint.config("transformer")
        vae = checkpoint.config("vae")
        height, width = HEIGHT // spatial_scale(vae), WIDTH // spatial_scale(vae)
        _, rows, columns = config["patch_size"]
        text = {"from": "text_encoder", "output": "sequence", "zeroPadding": True}
        return Description(
            transformer={
                "inputs": [
                    described(
                        "hidden_states",
                        "latent",
                        config["in_channels"],
                        "frames",
                        "height",
                        "width",
                    ),
                    described("timestep", "timestep", dtype="float32"),
                    described("encoder_hidden_states", "text", "tokens", config["text_dim"]),
                ],
                "outputChannels": config.get("out_channels") or config["in_channels"],
                "tokenGrid": [height // rows, width // columns],
                "hiddenChannels": width_of(config),
            },
            latent={
                "channels": config["in_channels"],
                "height": height,
                "width": width,
                "frames": 1 + (FRAMES - 1) // temporal_scale(vae),
            },
            conditioning={
                "kind": "text",
                "maxSequenceLength": {"default": 512, "maximum": 512},
                "inputs": {"encoder_hidden_states": text},
            }
            if encoders
            else {"kind": "tensors"},
            defaults={
                "numInferenceSteps": 50,
                "guidance": {"classifierFree": {"scale": 5.0}},
                "frameRate": FRAME_RATE,
            },
        )

    def describe_vae(self, checkpoint: Checkpoint, dtype: str) -> dict[str, Any]:
        vae = checkpoint.config("vae")
        return {
            "decoder": {"file": "vae/decoder.pt", "dtype": dtype},
            "scale": spatial_scale(vae),
            "mean": vae["latents_mean"],
            "std": vae["latents_std"],
            "frameScale": temporal_scale(vae),
        }

    def vae_components(self, checkpoint: Checkpoint, dtype: str) -> list[Component]:
        return [vae_part("decoder", lambda: video_decoder(checkpoint, dtype))]

    def denoiser(self, transformer: nn.Module) -> Traceable:
        config = transformer.config
        depth, rows, columns = config.patch_size

        def inputs(batch: int, frames: int, height: int, width: int, tokens: int):
            return (
                torch.randn(
                    batch, config.in_channels, depth * frames, rows * height, columns * width
                ),
                torch.linspace(900.0, 20.0, batch),
                torch.randn(batch, tokens, config.text_dim),
            )

        return Traceable(
            WanDenoiser(transformer),
            inputs(2, 3, 4, 4, 12),
            [inputs(3, 2, 3, 5, 17), inputs(1, 1, 4, 4, 9)],
            [{"path": "transformer.blocks.*", "streams": ["image"]}],
        )


def spatial_scale(vae: Any) -> int:
    return vae.get("scale_factor_spatial") or 8


def temporal_scale(vae: Any) -> int:
    return vae.get("scale_factor_temporal") or 4
