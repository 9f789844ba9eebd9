"""Checkpoints of a training run: written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` beside `path` and rename it, so that a killed run leaves the last good one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state last saved at `path`, on the CPU; None where nothing was saved yet."""
    if not path.is_file():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)
