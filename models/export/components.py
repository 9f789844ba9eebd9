"""Text encoders, VAE decoders and encoders: wrappers whose forward() takes and gives tensors alone.

Each function gives the Traceable of one component, and what bundle.json says of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.checkpoint import Checkpoint
from models.export.dtypes import DTYPES
from models.export.errors import ExportError
from models.export.trace import Traceable

# Enough of a prompt to make masks and positions matter; the trace serves every length.
TEXT_TOKENS, OTHER_TEXT_TOKENS = 24, 37


class HiddenLayer(nn.Module):
    """SD3's CLIP encoders: ids [B, T] int64 -> the last hidden state but one [B, T, C], and the
    projected text embedding [B, P]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        output = self.encoder(ids, output_hidden_states=True)
        return output.hidden_states[-2], output.text_embeds


class Pooled(nn.Module):
    """Flux's CLIP encoder: ids [B, T] int64 -> the pooled output [B, C]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        return self.encoder(ids, output_hidden_states=False).pooler_output


class Sequence(nn.Module):
    """T5 without a mask, as SD3 and Flux call it: ids [B, T] int64 -> [B, T, C]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        return self.encoder(ids)[0]


class MaskedSequence(nn.Module):
    """T5 and UMT5 with a mask, as PixArt and Wan call it: ids, mask [B, T] int64 -> [B, T, C]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.encoder(ids, attention_mask=mask)[0]


def text_encoder(
    checkpoint: Checkpoint, name: str, dtype: str, wrapper: type[nn.Module]
) -> Traceable:
    """The encoder `name` (`text_encoder`, `text_encoder_2`, …) in one of the wrappers above."""
    module = checkpoint.load(name, DTYPES[dtype])
    vocabulary = module.config.vocab_size
    # A CLIP encoder has a table of positions; T5 takes any number of tokens.
    longest = getattr(module.config, "max_position_embeddings", None) or OTHER_TEXT_TOKENS
    generator = torch.Generator().manual_seed(0)

    def inputs(batch: int, tokens: int) -> tuple[Tensor, ...]:
        ids = torch.randint(0, vocabulary - 1, (batch, tokens), generator=generator)
        # CLIP pools at the end of the text.
        end = getattr(module.config, "eos_token_id", None)
        ends = vocabulary - 1 if end in (None, 2) else end
        lengths = torch.randint(2, tokens, (batch,), generator=generator)
        ids[torch.arange(batch), lengths] = ends
        if wrapper is not MaskedSequence:
            return (ids,)
        return ids, (torch.arange(tokens)[None] <= lengths[:, None]).long()

    return Traceable(
        wrapper(module),
        inputs(2, min(TEXT_TOKENS, longest)),
        [inputs(3, min(OTHER_TEXT_TOKENS, longest))],
    )


class Decoder(nn.Module):
    """Latents [B, C, h, w], already unscaled -> pictures [B, 3, H, W], about -1 to 1."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents, return_dict=False)[0]


class Encoder(nn.Module):
    """Pictures [B, 3, H, W] in [-1, 1] -> mean and log variance [B, 2 C, h, w]."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.encoder = vae.encoder
        self.quant_conv = vae.quant_conv

    def forward(self, pictures: Tensor) -> Tensor:
        moments = self.encoder(pictures)
        return moments if self.quant_conv is None else self.quant_conv(moments)


def vae_dtype(checkpoint: Checkpoint, dtype: str) -> str:
    """float32 in place of float16 for an autoencoder that overflows there, as its config says."""
    upcast = checkpoint.config("vae").get("force_upcast", True)
    return "float32" if dtype == "float16" and upcast else dtype


def vae_decoder(checkpoint: Checkpoint, dtype: str) -> Traceable:
    vae = checkpoint.load("vae", DTYPES[vae_dtype(checkpoint, dtype)])
    vae.encoder = vae.quant_conv = None
    channels = vae.config.latent_channels
    return Traceable(
        Decoder(vae),
        (torch.randn(2, channels, 8, 8),),
        [(torch.randn(1, channels, 6, 10),), (torch.randn(3, channels, 12, 8),)],
    )


def vae_encoder(checkpoint: Checkpoint, dtype: str) -> Traceable:
    vae = checkpoint.load("vae", DTYPES[vae_dtype(checkpoint, dtype)])
    scale = vae_scale(vae.config)
    return Traceable(
        Encoder(vae),
        (torch.randn(2, 3, 8 * scale, 8 * scale),),
        [(torch.randn(3, 3, 6 * scale, 10 * scale),)],
    )


def vae_scale(config: Any) -> int:
    """Pixels per latent cell of diffusers' AutoencoderKL."""
    return 2 ** (len(config["block_out_channels"]) - 1)


def describe_vae(checkpoint: Checkpoint, dtype: str) -> dict[str, Any]:
    """bundle.json's `vae` for an AutoencoderKL."""
    config = checkpoint.config("vae")
    if config.get("latents_mean") or config.get("latents_std"):
        raise ExportError(
            "CHECKPOINT_UNSUPPORTED",
            f"The VAE of {checkpoint.name} has a mean and a standard deviation for each channel of "
            "the latent, which this pipeline of diffusers does not use.",
            expected="an AutoencoderKL with scaling_factor and shift_factor",
        )
    stored = vae_dtype(checkpoint, dtype)
    return {
        "decoder": {"file": "vae/decoder.pt", "dtype": stored},
        "encoder": {"file": "vae/encoder.pt", "dtype": stored},
        "scale": vae_scale(config),
        "scalingFactor": config.get("scaling_factor", 0.18215),
        "shiftFactor": config.get("shift_factor") or 0,
        # Larger pictures are decoded in tiles of the size that the VAE was trained with.
        "tileSize": max(512, config.get("sample_size") or 0),
    }
