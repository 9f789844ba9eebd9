"""A checkpoint of diffusers on disk: what is in it, whether it is whole, and its components one by one."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.export.errors import ExportError

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
SAFETENSORS_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
WEIGHTS = ("*.safetensors", "*.bin")
# Of each end of a file; with its size and time it tells one file from another without reading it all.
FINGERPRINT_BYTES = 1 << 16


class Checkpoint:
    """A folder as `save_pretrained` writes it: `model_index.json` and a folder for each component."""

    def __init__(self, folder: Path, *, name: str | None = None) -> None:
        self.folder = folder
        self.name = name or folder.resolve().name
        self.index = read_json(folder / "model_index.json")
        kind = self.index.get("_class_name")
        if not isinstance(kind, str):
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"{folder / 'model_index.json'} names no pipeline class.",
                expected="a model_index.json as diffusers' save_pretrained writes it",
            )
        self.pipeline_class = kind

    def has(self, component: str) -> bool:
        """Whether the pipeline has it; one that is null in the index, or not named, is left out."""
        kind = self.index.get(component)
        return isinstance(kind, list) and kind[:1] != [None]

    def require(self, component: str) -> None:
        """Raise CHECKPOINT_INCOMPLETE unless the component is there, with its files."""
        if not self.has(component):
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"The checkpoint {self.name} has no {component}, without which its pipeline "
                f"({self.pipeline_class}) makes no pictures.",
                found=sorted(key for key in self.index if self.has(key)),
                expected=f"a model_index.json that names {component}, and its folder",
            )
        if not (self.folder / component).is_dir():
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"model_index.json of {self.name} names {component}, but there is no folder of that "
                "name. Download it too, or set it to [null, null] where the pipeline can do without.",
                found=sorted(path.name for path in self.folder.iterdir()),
                expected=f"the folder {component}",
            )

    def config(self, component: str) -> dict[str, Any]:
        """config.json of a component (scheduler_config.json of the scheduler)."""
        self.require(component)
        name = "scheduler_config.json" if component == "scheduler" else "config.json"
        return read_json(self.folder / component / name)

    def class_of(self, component: str) -> type:
        library, name = self.index[component][:2]
        try:
            return getattr(importlib.import_module(library), name)
        except (ImportError, AttributeError) as error:
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"The {component} of {self.name} is a {name} of {library}, which this Python does not "
                f"have ({error}).",
                found=[library, name],
                expected="a class of diffusers or transformers",
            ) from error

    def load(self, component: str, dtype: torch.dtype) -> nn.Module:
        """The component's module in evaluation mode, its weights in the dtype asked for."""
        self.require(component)
        self.check_files(component)
        kind = self.class_of(component)
        is_diffusers = self.index[component][0] == "diffusers"
        options: dict[str, Any] = {"torch_dtype" if is_diffusers else "dtype": dtype}
        if is_diffusers:
            options["low_cpu_mem_usage"] = True
            # diffusers looks for shards of the other kind only when it is told so.
            options["use_safetensors"] = self.is_safetensors(component)
        variant = self.variant(component)
        if variant:
            options["variant"] = variant
        try:
            module = kind.from_pretrained(
                str(self.folder), subfolder=component, local_files_only=True, **options
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ExportError(
                "CHECKPOINT_DAMAGED",
                f"The {component} of {self.name} cannot be read: {last_line(error)}",
                found=str(self.folder / component),
                expected="the folder as it was published",
            ) from error
        return module.eval().requires_grad_(False)

    def files(self, component: str) -> list[Path]:
        folder = self.folder / component
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def variant(self, component: str) -> str | None:
        """`fp16` where the folder has model.fp16.safetensors alone; None where it has the plain file."""
        folder = self.folder / component
        names = [path.name for pattern in WEIGHTS for path in folder.glob(pattern)]
        variants = set()
        for name in names:
            parts = name.split("-0")[0].removesuffix(".safetensors").removesuffix(".bin").split(".")
            if len(parts) == 1:
                return None
            variants.add(parts[1])
        return sorted(variants)[0] if variants else None

    def is_safetensors(self, component: str) -> bool:
        """Whether the component is read from .safetensors files; else from PyTorch's own, .bin."""
        return any((self.folder / component).glob("*.safetensors"))

    def index_of_shards(self, component: str) -> Path | None:
        """The list of the shards that are read; other variants and kinds of file may have their own."""
        kind = "safetensors" if self.is_safetensors(component) else "bin"
        variant = self.variant(component)
        endings = [f".{kind}.index.json"]
        if variant:
            endings = [f".{kind}.index.{variant}.json", f".{kind}.{variant}.index.json"]
        indices = sorted((self.folder / component).glob("*.json"))
        return next((path for path in indices if path.name.endswith(tuple(endings))), None)

    def check_files(self, component: str) -> None:
        """Raise CHECKPOINT_INCOMPLETE or CHECKPOINT_DAMAGED for weights that are not all there."""
        folder = self.folder / component
        weights = [path for pattern in WEIGHTS for path in sorted(folder.glob(pattern))]
        if not weights:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"The {component} of {self.name} has no weights in {folder}.",
                found=[path.name for path in self.files(component)],
                expected="a .safetensors file",
            )
        for path in weights:
            if path.suffix == ".safetensors":
                safetensors_header(path)
        index = self.index_of_shards(component)
        if index is None:
            return
        wanted = set(read_json(index).get("weight_map", {}).values())
        missing = sorted(shard for shard in wanted if not (folder / shard).exists())
        if missing:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"The {component} of {self.name} lacks {', '.join(missing)}, which {index.name} names.",
                found=[path.name for path in weights],
                expected="every shard",
            )

    def stored_dtype(self, component: str = "transformer") -> str:
        """The dtype that most weights have in the component's files; float32 for what is no float."""
        counts: Counter[str] = Counter()
        for path in (self.folder / component).glob("*.safetensors"):
            for entry in safetensors_header(path).values():
                begin, end = entry.get("data_offsets", (0, 0))
                counts[SAFETENSORS_DTYPES.get(entry.get("dtype", ""), "float32")] += end - begin
        return counts.most_common(1)[0][0] if counts else "float32"

    def fingerprint(self, component: str) -> str:
        """Changes when the component's files do: names, sizes, times, and both ends of each."""
        digest = hashlib.sha256(json.dumps(self.index.get(component)).encode())
        for path in self.files(component):
            digest.update(str(path.relative_to(self.folder)).encode())
            fingerprint_of(path, digest)
        return digest.hexdigest()


def fingerprint_of(path: Path, digest: hashlib._Hash) -> None:
    """Add what tells a file from another: its size, its time, and both of its ends."""
    status = path.stat()
    digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    with path.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, status.st_size - FINGERPRINT_BYTES))
        digest.update(file.read(FINGERPRINT_BYTES))


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ExportError(
            "CHECKPOINT_INCOMPLETE", f"{path} is missing.", found=str(path), expected="that file"
        ) from error
    except ValueError as error:
        raise ExportError(
            "CHECKPOINT_DAMAGED", f"{path} is not JSON: {error}.", found=str(path), expected="JSON"
        ) from error


def safetensors_header(path: Path) -> dict[str, Any]:
    """The file's table of tensors. Raises CHECKPOINT_DAMAGED when the file is shorter than it says."""
    size = path.stat().st_size

    def damaged(reason: str) -> ExportError:
        return ExportError(
            "CHECKPOINT_DAMAGED",
            f"{path} is damaged: {reason}. Download it again.",
            found=size,
            expected="a whole safetensors file",
        )

    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise damaged(f"it has {size} bytes")
        (length,) = struct.unpack("<Q", head)
        if length > size - 8:
            raise damaged(f"it has {size} bytes, and its header alone says {length + 8}")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise damaged("its header is no JSON") from error
    header.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in tensors_of(header)]
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        raise damaged(f"it has {size} bytes, its header says {wanted}")
    return header


def tensors_of(header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (entry for entry in header.values() if "data_offsets" in entry)


def last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
