"""Under which licence the weights are: what the model card says, else what is known of the published ones."""

from __future__ import annotations

import re

from models.export.checkpoint import Checkpoint

# By the beginning of the hub id.
PUBLISHED = {
    "stabilityai/stable-diffusion-3": "Stability AI Community License",
    "black-forest-labs/FLUX.1-schnell": "Apache-2.0",
    "black-forest-labs/FLUX.1": "FLUX.1 [dev] Non-Commercial License",
    "facebook/DiT": "CC-BY-NC-4.0",
    "PixArt-alpha/": "CreativeML Open RAIL++-M",
    "Wan-AI/": "Apache-2.0",
}
UNKNOWN = "unknown: the checkpoint has no model card"


def licence_of(checkpoint: Checkpoint) -> str:
    """`license_name` or `license` of the card's front matter; else the publisher's; else UNKNOWN."""
    card = checkpoint.folder / "README.md"
    if card.is_file():
        front = re.match(r"---\n(.*?)\n---", card.read_text(errors="replace"), re.DOTALL)
        fields = (
            dict(re.findall(r"^(license\w*):\s*(.+?)\s*$", front[1], re.MULTILINE)) if front else {}
        )
        named = fields.get("license_name") or fields.get("license")
        if named:
            return named.strip("\"'")
    for prefix, licence in PUBLISHED.items():
        if checkpoint.name.startswith(prefix):
            return licence
    return UNKNOWN
