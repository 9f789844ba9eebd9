"""Tokenizers as one tokenizer.json, with the rules that diffusers adds when it calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.export.checkpoint import Checkpoint, last_line
from models.export.errors import ExportError


def write_tokenizer(checkpoint: Checkpoint, name: str, path: Path) -> dict[str, Any]:
    """Write the tokenizer `name` to `path` and return its rules: length, padding and end of text.

    Old folders (vocab.json and merges.txt, or spiece.model) are converted by transformers. Raises
    CHECKPOINT_INCOMPLETE and CHECKPOINT_UNSUPPORTED.
    """
    from transformers import AutoTokenizer

    checkpoint.require(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(checkpoint.folder), subfolder=name, use_fast=True, local_files_only=True
        )
        backend = tokenizer.backend_tokenizer
    except (OSError, ValueError, ImportError, AttributeError, TypeError, KeyError) as error:
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"The {name} of {checkpoint.name} cannot be read as a fast tokenizer: {last_line(error)}",
            found=[file.name for file in checkpoint.files(name)],
            expected="tokenizer.json, or files that transformers converts (spiece.model needs the "
            "Python packages sentencepiece and protobuf)",
        ) from error
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
