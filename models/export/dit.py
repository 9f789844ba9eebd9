"""DiT-XL/2 and its like: conditioned by class; the class after the last one is the null class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.checkpoint import Checkpoint
from models.export.denoiser import Denoiser
from models.export.family import Description, Family, described, square, square_grid, width_of
from models.export.patch_embedding import make_resizable
from models.export.trace import Traceable


class DitDenoiser(Denoiser):
    """Latents [B, C, H, W], timesteps [B] in 0 … 999, classes [B] int64 -> [B, C or 2 C, H, W]."""

    def forward(self, hidden_states: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        """DiTTransformer2DModel.forward, which takes the square root of the number of tokens for
        their rows and columns: here they are those of the latent."""
        model = self.transformer
        patch = model.config.patch_size
        rows, columns = hidden_states.shape[-2] // patch, hidden_states.shape[-1] // patch
        tokens = model.pos_embed(hidden_states)
        for block in model.transformer_blocks:
            tokens = block(
                tokens,
                attention_mask=None,
                encoder_hidden_states=None,
                encoder_attention_mask=None,
                timestep=timestep,
                cross_attention_kwargs=None,
                class_labels=class_labels,
            )
        condition = model.transformer_blocks[0].norm1.emb(
            timestep, class_labels, hidden_dtype=tokens.dtype
        )
        shift, scale = model.proj_out_1(nn.functional.silu(condition)).chunk(2, dim=1)
        tokens = model.norm_out(tokens) * (1 + scale[:, None]) + shift[:, None]
        patches = model.proj_out_2(tokens).reshape(
            -1, rows, columns, patch, patch, model.out_channels
        )
        return torch.einsum("nhwpqc->nchpwq", patches).reshape(
            -1, model.out_channels, rows * patch, columns * patch
        )


class Dit(Family):
    name = "dit"
    pipelines = ("DiTPipeline",)

    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        config = checkpoint.config("transformer")
        classes = config["num_embeds_ada_norm"]
        names = checkpoint.index.get("id2label") or {}
        conditioning: dict[str, Any] = {
            "kind": "class",
            "numClasses": classes,
            "nullClass": classes,
        }
        if len(names) == classes:
            conditioning["labels"] = [names[str(index)] for index in range(classes)]
        return Description(
            transformer={
                "inputs": [
                    described("hidden_states", "latent", config["in_channels"], "height", "width"),
                    described("timestep", "timestep", dtype="float32"),
                    described("class_labels", "class", dtype="int64"),
                ],
                # The rest of the output is the predicted variance.
                "outputChannels": config["in_channels"],
                "tokenGrid": square_grid(config),
                "hiddenChannels": width_of(config),
            },
            latent=square(config),
            conditioning=conditioning,
            defaults={"numInferenceSteps": 50, "guidance": {"classifierFree": {"scale": 4.0}}},
        )

    def denoiser(self, transformer: nn.Module) -> Traceable:
        config = transformer.config

        def inputs(batch: int, rows: int, columns: int) -> tuple[Tensor, ...]:
            patch = config.patch_size
            return (
                torch.randn(batch, config.in_channels, patch * rows, patch * columns),
                torch.linspace(900.0, 20.0, batch),
                torch.arange(batch) * 3 % config.num_embeds_ada_norm,
            )

        return Traceable(
            DitDenoiser(make_resizable(transformer)),
            inputs(2, 4, 4),
            [inputs(3, 3, 5)],
            [{"path": "transformer.transformer_blocks.*", "streams": ["image"]}],
        )
