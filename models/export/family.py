"""What a family of pipelines has to say: its components, and bundle.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.export import components, tokenizer
from models.export.checkpoint import Checkpoint
from models.export.trace import Traceable

# What write_trace or a tokenizer left to be said of a finished file.
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Component:
    """One file of the bundle.

    name: for messages; file: in the bundle; source: the folder of the checkpoint that it is made
    from; trace: loads the module (for TorchScript files); write: writes the file (for others) and
    returns its record; record: further facts for bundle.json, known without loading.
    """

    name: str
    file: str
    source: str
    trace: Callable[[], Traceable] | None = None
    write: Callable[[Path], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Plan:
    """components: in the order of work; describe: bundle.json without `format` and `files`, from the
    record of every component by its name; notes: what differs from diffusers, for people."""

    components: list[Component]
    describe: Callable[[Mapping[str, Record]], dict[str, Any]]
    notes: list[str]


def encoder_components(
    checkpoint: Checkpoint, dtype: str, encoders: Mapping[str, type]
) -> list[Component]:
    """The text encoders with their tokenizers; `encoders`: name -> wrapper of components.py."""
    result = []
    for name, wrapper in encoders.items():
        result.append(
            Component(
                name,
                f"{name}/model.pt",
                name,
                trace=lambda name=name, wrapper=wrapper: components.text_encoder(
                    checkpoint, name, dtype, wrapper
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


def vae_components(checkpoint: Checkpoint, dtype: str) -> list[Component]:
    return [
        Component(
            "vae decoder",
            "vae/decoder.pt",
            "vae",
            trace=lambda: components.vae_decoder(checkpoint, dtype),
        ),
        Component(
            "vae encoder",
            "vae/encoder.pt",
            "vae",
            trace=lambda: components.vae_encoder(checkpoint, dtype),
        ),
    ]


def describe_encoder(
    checkpoint: Checkpoint,
    name: str,
    dtype: str,
    rules: Mapping[str, Any],
    *,
    outputs: list[str],
    inputs: list[str] | None = None,
    cleaning: str = "none",
) -> dict[str, Any]:
    """bundle.json's entry of a text encoder."""
    config = checkpoint.config(name)
    file = f"{tokenizer_of(name)}/tokenizer.json"
    is_clip = tokenizer.is_clip(config)
    width = config["hidden_size"] if is_clip else config["d_model"]
    entry: dict[str, Any] = {
        "file": f"{name}/model.pt",
        "dtype": dtype,
        "inputs": inputs or ["ids"],
        "outputs": outputs,
    }
    if "sequence" in outputs:
        entry["width"] = width
    if "pooled" in outputs:
        entry["pooledWidth"] = config["projection_dim"] if "sequence" in outputs else width
    entry["vocabularySize"] = config["vocab_size"]
    entry["tokenizer"] = (
        tokenizer.clip_rules(file, rules) if is_clip else tokenizer.t5_rules(file, rules, cleaning)
    )
    return entry


def described(name: str, role: str, *shape: int | str, dtype: str = "float") -> dict[str, Any]:
    """bundle.json's entry of an input that has a row for each image."""
    return {"name": name, "role": role, "dtype": dtype, "shape": ["batch", *shape]}


def picture() -> dict[str, Any]:
    """bundle.json's `image` of every latent model here."""
    return {"kind": "vae", "range": [-1, 1], "channels": 3}


def without_nothing(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys whose value is None."""
    return {key: value for key, value in content.items() if value is not None}
