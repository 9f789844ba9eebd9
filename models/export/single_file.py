"""A checkpoint in one .safetensors file, read by diffusers' from_single_file, with a folder for the rest.

Such files hold the transformer, often the VAE, and no configuration. The folder is a checkpoint of
diffusers of the same model: its configurations and tokenizers are used, and the weights of every
component that it has; the transformer is always the file's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from models.export.checkpoint import (
    SAFETENSORS_DTYPES,
    WEIGHTS,
    Checkpoint,
    fingerprint_of,
    last_line,
    safetensors_header,
)
from models.export.errors import ExportError


class SingleFile(Checkpoint):
    """`file` with the configurations in `folder`. No network is used."""

    def __init__(self, file: Path, folder: Path, *, name: str | None = None) -> None:
        super().__init__(folder, name=name or file.stem)
        self.file = file
        self.header = safetensors_header(file)

    def from_file(self, component: str) -> bool:
        """Whether the file is read for it: the transformer, and a VAE that the folder has no weights of."""
        if component == "transformer":
            return True
        weights = [path for pattern in WEIGHTS for path in (self.folder / component).glob(pattern)]
        return component == "vae" and not weights

    def load(self, component: str, dtype: torch.dtype) -> nn.Module:
        if not self.from_file(component):
            return super().load(component, dtype)
        self.require(component)
        kind = self.class_of(component)
        if not hasattr(kind, "from_single_file"):
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"diffusers does not read a {kind.__name__} from a single file.",
                found=kind.__name__,
                expected="a folder as save_pretrained writes it",
            )
        try:
            module = kind.from_single_file(
                str(self.file),
                config=str(self.folder),
                subfolder=component,
                torch_dtype=dtype,
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"diffusers cannot read the {component} from {self.file}: {last_line(error)}",
                found=sorted(self.header)[:5],
                expected=f"a file with the weights of the {component}, or a folder that has them",
            ) from error
        return module.eval().requires_grad_(False)

    def stored_dtype(self, component: str = "transformer") -> str:
        counts: Counter[str] = Counter()
        for entry in self.header.values():
            begin, end = entry.get("data_offsets", (0, 0))
            counts[SAFETENSORS_DTYPES.get(entry.get("dtype", ""), "float32")] += end - begin
        return counts.most_common(1)[0][0] if counts else "float32"

    def fingerprint(self, component: str) -> str:
        digest = hashlib.sha256(super().fingerprint(component).encode())
        if self.from_file(component):
            fingerprint_of(self.file, digest)
        return digest.hexdigest()
