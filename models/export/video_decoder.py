"""Wan's video VAE, all frames at once."""

from __future__ import annotations

import types

import torch
from torch import Tensor, nn

from models.export.checkpoint import Checkpoint
from models.export.dtypes import DTYPES
from models.export.trace import Traceable


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


def video_decoder(checkpoint: Checkpoint, dtype: str) -> Traceable:
    vae = checkpoint.load("vae", DTYPES[dtype])
    channels = vae.config.z_dim
    return Traceable(
        VideoDecoder(vae),
        (torch.randn(2, channels, 3, 4, 4),),
        [(torch.randn(1, channels, 1, 4, 6),), (torch.randn(2, channels, 5, 6, 4),)],
    )
