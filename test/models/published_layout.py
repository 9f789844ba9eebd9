"""Weights of diffusers' SD3 transformer under the names of Stability AI's files."""

from __future__ import annotations

import torch
from torch import Tensor

PREFIX = "model.diffusion_model."
# diffusers' names of whole layers, and the published ones.
OUTER = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "proj_out": "final_layer.linear",
}
INNER = {
    "attn.to_out.0": "x_block.attn.proj",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "attn.to_add_out": "context_block.attn.proj",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}


def halves_swapped(weight: Tensor) -> Tensor:
    """The published last layers have shift before scale."""
    first, second = weight.chunk(2)
    return torch.cat([second, first])


def published_sd3(weights: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Weights of diffusers' SD3 transformer in the layout of Stability AI's files."""
    names = dict(OUTER)
    for layer in range(layers):
        block, joint = f"transformer_blocks.{layer}.", f"joint_blocks.{layer}."
        names |= {block + theirs: joint + published for theirs, published in INNER.items()}
    found = {"pos_embed": weights["pos_embed.pos_embed"]}
    last = f"transformer_blocks.{layers - 1}.norm1_context.linear"
    for kind in ("weight", "bias"):
        for theirs, published in names.items():
            if f"{theirs}.{kind}" in weights:
                weight = weights[f"{theirs}.{kind}"]
                found[f"{published}.{kind}"] = halves_swapped(weight) if theirs == last else weight
        final = halves_swapped(weights[f"norm_out.linear.{kind}"])
        found[f"final_layer.adaLN_modulation.1.{kind}"] = final
        for layer in range(layers):
            attention = f"transformer_blocks.{layer}.attn."
            for stream, theirs in (("x", "to_{}"), ("context", "add_{}_proj")):
                parts = [weights[f"{attention}{theirs.format(each)}.{kind}"] for each in "qkv"]
                place = f"joint_blocks.{layer}.{stream}_block.attn.qkv.{kind}"
                found[place] = torch.cat(parts)
    return {PREFIX + name: tensor.contiguous() for name, tensor in found.items()}
