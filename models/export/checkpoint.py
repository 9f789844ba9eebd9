"""A checkpoint of diffusers on disk: what is in it, whether it is whole, and its components one by one."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.export.component_files import ComponentFiles
from models.export.dtypes import FLOAT8
from models.export.errors import ExportError
from models.export.float8_scales import Float8Scales
from models.export.json_file import read_json
from models.export.unsupported import refuse_lora, refuse_quantisation_config, refuse_quantised
from models.export.weight_file import Entry, read_tensor, written_as
from models.export.whole import require_whole

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
        self.checked: dict[str, ComponentFiles] = {}

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
                received=sorted(key for key in self.index if self.has(key)),
                expected=f"a model_index.json that names {component}, and its folder",
            )
        if not (self.folder / component).is_dir():
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"model_index.json of {self.name} names {component}, but there is no folder of that "
                "name. Download it too, or set it to [null, null] where the pipeline can do without.",
                received=sorted(path.name for path in self.folder.iterdir()),
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
                received=[library, name],
                expected="a class of diffusers or transformers",
            ) from error

    def label(self, component: str) -> str:
        """What messages call it."""
        return f"The {component} of {self.name}"

    def weights(self, component: str) -> ComponentFiles:
        """Its files of weights, of which none is missing."""
        if component not in self.checked:
            self.require(component)
            files = ComponentFiles(self.folder / component, self.label(component))
            files.require_all()
            self.checked[component] = files
        return self.checked[component]

    def tensors(self, component: str) -> dict[str, Entry]:
        """The table of its weights. Raises CHECKPOINT_UNSUPPORTED for weights that are quantised."""
        tensors = self.weights(component).tensors
        refuse_quantisation_config(self.config(component), self.label(component))
        refuse_quantised(tensors, self.label(component))
        refuse_lora(tensors, self.label(component))
        return tensors

    def load(self, component: str, dtype: torch.dtype) -> nn.Module:
        """The component's module in evaluation mode, with all of its weights, in the dtype asked for."""
        names = self.tensors(component)
        files = self.weights(component)
        kind = self.class_of(component)
        is_diffusers = self.index[component][0] == "diffusers"
        options: dict[str, Any] = {"torch_dtype" if is_diffusers else "dtype": dtype}
        if is_diffusers:
            options["low_cpu_mem_usage"] = True
            # diffusers looks for shards of the other kind only when it is told so.
            options["use_safetensors"] = files.is_safetensors
        if files.variant:
            options["variant"] = files.variant
        try:
            module, report = kind.from_pretrained(
                str(self.folder),
                subfolder=component,
                local_files_only=True,
                output_loading_info=True,
                # They are named below, with both shapes.
                ignore_mismatched_sizes=True,
                **options,
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
            raise ExportError(
                "CHECKPOINT_DAMAGED",
                f"{self.label(component)} cannot be read: {last_line(error)}",
                received=str(self.folder / component),
                expected="the folder as it was published",
            ) from error
        scales = Float8Scales(names, self.read_of(component), self.label(component))
        require_whole(
            module,
            self.label(component),
            missing={*report["missing_keys"], *unread(module)},
            unexpected=set(report["unexpected_keys"]) - scales.own,
            mismatched=report["mismatched_keys"],
        )
        for name in scales.scales:
            parameter = module.get_parameter(name)
            # Both dtypes hold a float8 exactly, so that it is rounded once, here.
            parameter.data = scales.multiplied(name, parameter.data, dtype)
        return module.eval().requires_grad_(False)

    def files(self, component: str) -> list[Path]:
        folder = self.folder / component
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def stored_dtype(self, component: str = "transformer") -> str:
        """The dtype to write its weights in where none is asked for: that of most, of 16 or 32 bits."""
        return written_as(self.tensors(component).values())

    def notes(self, dtype: str) -> list[str]:
        """What differs from the checkpoint's own weights, for people."""
        tensors = self.tensors("transformer")
        scales = Float8Scales(tensors, self.read_of("transformer"), self.label("transformer"))
        small = [
            name
            for name, entry in tensors.items()
            if entry.dtype in FLOAT8 and name not in scales.own
        ]
        if not small:
            return []
        scaled = len(scales.scales)
        how = f", {scaled} of them multiplied by the scale of their layer" if scaled else ""
        return [
            f"{len(small)} weights of the transformer are stored in float8 and written in {dtype}{how}."
        ]

    def read_of(self, component: str) -> Callable[[str], Tensor]:
        """A function that reads one of its tensors by its name."""
        files = self.weights(component).read
        return lambda name: read_tensor(files, name)

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


def unread(module: nn.Module) -> set[str]:
    """Weights that are still without values."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name for name, tensor in named if tensor.is_meta}


def last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
