"""The text encoders of a pipeline with their tokenizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from models.export import components, tokenizer
from models.export.checkpoint import Checkpoint
from models.export.plan import Component


@dataclass(frozen=True)
class Encoder:
    """How a family uses a text encoder: its wrapper of components.py, what that takes (`ids`, `mask`) and
    gives (`sequence`, `pooled`), and how prompts are cleaned (bundle.json's `cleaning`)."""

    wrapper: type[nn.Module]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ("ids",)
    cleaning: str = "none"


def encoder_components(
    checkpoint: Checkpoint, dtype: str, encoders: Mapping[str, Encoder]
) -> list[Component]:
    """The text encoders with their tokenizers."""
    result = []
    for name, encoder in encoders.items():
        result.append(
            Component(
                name,
                f"{name}/model.pt",
                name,
                trace=lambda name=name, encoder=encoder: components.text_encoder(
                    checkpoint, name, dtype, encoder.wrapper
                ),
            )
        )
        own = tokenizer_of(name)
        result.append(
            Component(
                own,
                f"{own}/tokenizer.json",
                own,
                write=lambda path, own=own, name=name: tokenizer.write_tokenizer(
                    checkpoint, own, path, encoder=checkpoint.config(name)
                ),
            )
        )
    return result


def tokenizer_of(encoder: str) -> str:
    """`tokenizer_2` of `text_encoder_2`."""
    return encoder.replace("text_encoder", "tokenizer")


def describe_encoder(
    checkpoint: Checkpoint,
    name: str,
    dtype: str,
    rules: Mapping[str, Any],
    encoder: Encoder,
) -> dict[str, Any]:
    """bundle.json's entry of a text encoder; rules: what write_tokenizer gave."""
    config = checkpoint.config(name)
    file = f"{tokenizer_of(name)}/tokenizer.json"
    is_clip = tokenizer.is_clip(config)
    width = config["hidden_size"] if is_clip else config["d_model"]
    entry: dict[str, Any] = {
        "file": f"{name}/model.pt",
        "dtype": dtype,
        "inputs": list(encoder.inputs),
        "outputs": list(encoder.outputs),
    }
    if "sequence" in encoder.outputs:
        entry["width"] = width
    if "pooled" in encoder.outputs:
        entry["pooledWidth"] = config["projection_dim"] if "sequence" in encoder.outputs else width
    entry["vocabularySize"] = config["vocab_size"]
    entry["tokenizer"] = (
        tokenizer.clip_rules(file, rules)
        if is_clip
        else tokenizer.t5_rules(file, rules, encoder.cleaning)
    )
    return entry
