"""Tokenizers as one tokenizer.json, with the rules that diffusers adds when it calls them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.export.checkpoint import Checkpoint, last_line
from models.export.errors import ExportError


def write_tokenizer(
    checkpoint: Checkpoint, name: str, path: Path, *, encoder: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the tokenizer `name` to `path` and return its rules: length, padding and end of text.

    encoder: the configuration of its text encoder. Old folders (vocab.json and merges.txt, or
    spiece.model) are converted by transformers. Raises CHECKPOINT_INCOMPLETE and CHECKPOINT_DAMAGED,
    also for a tokenizer that does not fit the encoder.
    """
    from transformers import AutoTokenizer

    checkpoint.require(name)
    check_sentencepiece(checkpoint, name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(checkpoint.folder), subfolder=name, use_fast=True, local_files_only=True
        )
        backend = tokenizer.backend_tokenizer
    except (OSError, ValueError, ImportError, AttributeError, TypeError, KeyError) as error:
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"The {name} of {checkpoint.name} cannot be read as a fast tokenizer: {last_line(error)}",
            received=[file.name for file in checkpoint.files(name)],
            expected="tokenizer.json, or files that transformers converts",
        ) from error
    refuse_unfit(checkpoint, name, tokenizer, encoder)
    # Length and padding are the caller's, as in diffusers.
    backend.no_truncation()
    backend.no_padding()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(backend.to_str())
    return {
        "padId": tokenizer.pad_token_id,
        "startId": tokenizer.bos_token_id,
        "endId": tokenizer.eos_token_id,
        "size": len(tokenizer),
        # transformers has a very large number where the tokenizer has no limit.
        "modelMaxLength": min(tokenizer.model_max_length, 1_000_000),
    }


def check_sentencepiece(checkpoint: Checkpoint, name: str) -> None:
    """Raise when spiece.model is all there is and cannot be read: transformers then tries other formats,
    and says what went wrong with the last of them."""
    folder = checkpoint.folder / name
    model = folder / "spiece.model"
    if (folder / "tokenizer.json").is_file() or not model.is_file():
        return
    try:
        importlib.import_module("google.protobuf")
        importlib.import_module("sentencepiece").SentencePieceProcessor(model_file=str(model))
    except ImportError as error:
        raise ExportError(
            "EXPORT_FAILED",
            f"{model} cannot be read without the Python packages sentencepiece and protobuf ({error}); "
            "`pip install -r models/export/requirements.txt` installs what the exporter needs.",
            received=str(error),
            expected="sentencepiece and protobuf",
        ) from error
    except (RuntimeError, OSError) as error:
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"{model} is no model of SentencePiece ({last_line(error)}). Download it again.",
            received=str(model),
            expected="spiece.model as it was published",
        ) from error


def is_clip(encoder: Mapping[str, Any]) -> bool:
    """By the encoder's configuration: CLIP has a table of positions, T5 has none."""
    return "max_position_embeddings" in encoder


def refuse_unfit(
    checkpoint: Checkpoint, name: str, tokenizer: Any, encoder: Mapping[str, Any]
) -> None:
    """Raise CHECKPOINT_DAMAGED for a tokenizer with more tokens than the encoder has embeddings, one of
    another kind of encoder, or one without padding."""

    def unfit(found: str, expected: str) -> ExportError:
        return ExportError(
            "CHECKPOINT_DAMAGED",
            f"The {name} of {checkpoint.name} does not fit its encoder: expected {expected}, "
            f"{found}.",
            received=found,
            expected=expected,
        )

    largest, rows = max(tokenizer.get_vocab().values()), encoder["vocab_size"]
    if largest >= rows:
        raise unfit(f"it gives token numbers up to {largest}", f"numbers below {rows}")
    kind, around = "T5", [tokenizer.eos_token_id]
    if is_clip(encoder):
        kind, around = "CLIP", [tokenizer.bos_token_id, tokenizer.eos_token_id]
    empty = tokenizer("").input_ids
    if None in around or empty != around:
        raise unfit(f"of an empty text it makes {empty}", f"the tokenizer of a {kind} encoder")
    if tokenizer.pad_token_id is None:
        raise unfit("it has no token for padding", "one with pad_token")


def clip_rules(file: str, rules: dict[str, Any]) -> dict[str, Any]:
    """bundle.json's `tokenizer` of a CLIP encoder."""
    return {
        "file": file,
        "kind": "clip",
        "maxLength": rules["modelMaxLength"],
        "padId": rules["padId"],
        "startId": rules["startId"],
        "endId": rules["endId"],
        "cleaning": "none",
    }


def t5_rules(file: str, rules: dict[str, Any], cleaning: str = "none") -> dict[str, Any]:
    """bundle.json's `tokenizer` of a T5 encoder, whose length is the call's maxSequenceLength."""
    return {
        "file": file,
        "kind": "t5",
        "padId": rules["padId"],
        "endId": rules["endId"],
        "cleaning": cleaning,
    }
