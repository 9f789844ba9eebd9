"""Wan 2.1, text to video: latents are [B, C, frames, H, W]."""

from __future__ import annotations

import types
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
    without_nothing,
)
from models.export.modulation_table import record_modulations
from models.export.scheduler import describe_scheduler
from models.export.trace import Traceable

FAMILY = "wan"
PIPELINES = ("WanPipeline",)
# The pipeline's defaults: 81 frames of 480 x 832 pixels, 16 of them a second.
FRAMES, HEIGHT, WIDTH, FRAME_RATE = 81, 480, 832, 16


class Denoiser(nn.Module):
    """Latents [B, C, F, H, W], timesteps [B] in 0 … 1000, text [B, T, D] -> [B, C, F, H, W]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
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


class VideoDecoder(nn.Module):
    """Latents [B, C, F, h, w], already unscaled -> frames [B, 3, 1 + (F - 1) s, H, W] in [-1, 1].

    diffusers decodes one latent frame at a time and keeps what the causal convolutions saw; a trace
    would fix the number of frames. Here all frames go through at once. The convolutions are causal,
    so that gives the same numbers, provided that the first frame is left out where time is doubled,
    as diffusers does.
    """

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.post_quant_conv = vae.post_quant_conv
        self.decoder = vae.decoder
        for module in self.decoder.modules():
            if getattr(module, "mode", None) == "upsample3d":
                module.forward = types.MethodType(upsample_all_frames, module)

    def forward(self, latents: Tensor) -> Tensor:
        frames = self.decoder(self.post_quant_conv(latents), first_chunk=True)
        return frames.clamp(-1.0, 1.0)


def upsample_all_frames(self, x: Tensor, feat_cache=None, feat_idx=None) -> Tensor:
    """WanResample.forward for a whole video: every frame but the first becomes two."""
    first = x[:, :, :1]
    # diffusers' cache of the second frame is zeros in the first one's place.
    history = torch.cat([torch.zeros_like(first), x[:, :, 1:]], dim=2)
    pairs = self.time_conv(history)[:, :, 1:]
    pairs = pairs.unflatten(1, (2, -1))
    doubled = torch.stack([pairs[:, 0], pairs[:, 1]], dim=3).flatten(2, 3)
    x = torch.cat([first, doubled], dim=2)
    frames = x.transpose(1, 2)
    pictures = self.resample(frames.flatten(0, 1))
    return pictures.unflatten(0, (frames.shape[0], frames.shape[1])).transpose(1, 2)


def plan(checkpoint: Checkpoint, dtype: str) -> Plan:
    config = checkpoint.config("transformer")
    refuse_variants(checkpoint, config)
    vae = checkpoint.config("vae")
    schedule = describe_scheduler(checkpoint.config("scheduler"))
    encoders = {"text_encoder": components.MaskedSequence} if checkpoint.has("text_encoder") else {}
    spatial = vae.get("scale_factor_spatial") or 8
    temporal = vae.get("scale_factor_temporal") or 4
    height, width = HEIGHT // spatial, WIDTH // spatial
    _, rows, columns = config["patch_size"]

    def describe(records) -> dict[str, Any]:
        return without_nothing(
            {
                "family": FAMILY,
                "transformer": {
                    "file": "transformer.pt",
                    "dtype": dtype,
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
                    "blocks": records["transformer"]["blocks"],
                    "outputChannels": config.get("out_channels") or config["in_channels"],
                    "prediction": schedule.prediction,
                    "tokenGrid": [height // rows, width // columns],
                    "hiddenChannels": config["num_attention_heads"] * config["attention_head_dim"],
                },
                "latent": {
                    "channels": config["in_channels"],
                    "height": height,
                    "width": width,
                    "frames": 1 + (FRAMES - 1) // temporal,
                },
                "textEncoders": {
                    name: describe_encoder(
                        checkpoint,
                        name,
                        dtype,
                        records["tokenizer"],
                        inputs=["ids", "mask"],
                        outputs=["sequence"],
                        cleaning="html",
                    )
                    for name in encoders
                }
                or None,
                "conditioning": {
                    "kind": "text",
                    "maxSequenceLength": {"default": 512, "maximum": 512},
                    "inputs": {
                        "encoder_hidden_states": {
                            "from": "text_encoder",
                            "output": "sequence",
                            "zeroPadding": True,
                        }
                    },
                }
                if encoders
                else {"kind": "tensors"},
                "scheduler": schedule.options,
                "image": picture(),
                "vae": {
                    "decoder": {"file": "vae/decoder.pt", "dtype": dtype},
                    "scale": spatial,
                    "mean": vae["latents_mean"],
                    "std": vae["latents_std"],
                    "frameScale": temporal,
                },
                "defaults": {
                    "numInferenceSteps": 50,
                    "guidance": {"classifierFree": {"scale": 5.0}},
                    "frameRate": FRAME_RATE,
                },
            }
        )

    parts = [
        *encoder_components(checkpoint, dtype, encoders),
        Component(
            "transformer",
            "transformer.pt",
            "transformer",
            trace=lambda: denoiser(checkpoint, dtype),
        ),
        Component(
            "vae decoder", "vae/decoder.pt", "vae", trace=lambda: video_decoder(checkpoint, dtype)
        ),
    ]
    return Plan(parts, describe, schedule.notes)


def refuse_variants(checkpoint: Checkpoint, config) -> None:
    """Raise CHECKPOINT_UNSUPPORTED for the Wans that take more than text."""
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


def denoiser(checkpoint: Checkpoint, dtype: str) -> Traceable:
    transformer = checkpoint.load("transformer", DTYPES[dtype])
    config = transformer.config
    depth, rows, columns = config.patch_size

    def inputs(batch: int, frames: int, height: int, width: int, tokens: int):
        return (
            torch.randn(batch, config.in_channels, depth * frames, rows * height, columns * width),
            torch.linspace(900.0, 20.0, batch),
            torch.randn(batch, tokens, config.text_dim),
        )

    return Traceable(
        Denoiser(transformer),
        inputs(2, 3, 4, 4, 12),
        [inputs(3, 2, 3, 5, 17), inputs(1, 1, 4, 4, 9)],
        [{"path": "transformer.blocks.*", "streams": ["image"]}],
    )


def video_decoder(checkpoint: Checkpoint, dtype: str) -> Traceable:
    vae = checkpoint.load("vae", DTYPES[dtype])
    channels = vae.config.z_dim
    return Traceable(
        VideoDecoder(vae),
        (torch.randn(2, channels, 3, 4, 4),),
        [(torch.randn(1, channels, 1, 4, 6),), (torch.randn(2, channels, 5, 6, 4),)],
    )
