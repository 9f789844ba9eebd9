"""Massive-activation channels that publications name, for checkpoints of the published geometry alone.

Sources: Gan et al., "Massive Activations are the Key to Local Detail Synthesis in Diffusion
Transformers", arXiv 2510.11538 (SD3 810, PixArt-Sigma 293); figures of the same authors (SD3.5 676,
FLUX.1-dev 154 and 1446). None of them gives the layer that is disrupted: the default layer, the
middle one, is this package's choice and has not been measured on these weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOURCE = "literature: Gan et al., arXiv 2510.11538 and follow-ups"


def massive_activations(
    family: str, config: Mapping[str, Any], layers: int
) -> dict[str, Any] | None:
    """bundle.json's `massiveActivations`, or None for a model that is not one of the published."""
    found = published(family, config)
    if found is None:
        return None
    model, channels = found
    return {
        "stream": "image",
        "layer": layers // 2,
        "channels": channels,
        "rule": f"channels named for {model}, not measured on these weights; the layer, the middle "
        "one, is this package's choice. findMassiveActivations measures both.",
        "source": SOURCE,
    }


def published(family: str, config: Mapping[str, Any]) -> tuple[str, list[int]] | None:
    """The published model that has this geometry, and its channels."""
    width = config.get("num_attention_heads", 0) * config.get("attention_head_dim", 0)
    layers = config.get("num_layers")
    if family == "sd3":
        dual = bool(config.get("dual_attention_layers"))
        if (width, layers, dual) == (1536, 24, False) and not config.get("qk_norm"):
            return "Stable Diffusion 3", [810]
        if (width, layers, dual) in ((2432, 38, False), (1536, 24, True)):
            return "Stable Diffusion 3.5 (medium or large is not said)", [676]
    if family == "flux":
        geometry = (width, layers, config.get("num_single_layers"), config.get("guidance_embeds"))
        if geometry == (3072, 19, 38, True):
            return "FLUX.1-dev", [154, 1446]
    if family == "pixart" and (width, layers) == (1152, 28):
        # PixArt-alpha has the same width; its 1024 model alone takes the picture's size as a condition.
        if config.get("_pipeline") == "PixArtSigmaPipeline":
            return "PixArt-Sigma", [293]
    return None
