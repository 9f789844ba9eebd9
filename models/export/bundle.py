"""Write and read bundles: a folder with `bundle.json` and the files it names.

`write_bundle` takes any module whose blocks sit in a container; README.md beside this file says what it has to keep to.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.export.dtypes import DTYPES
from models.export.streams import traced_streams

# Not copied: the operators' source positions (paths of the exporting machine), the traced inputs,
# and what the writer adds by itself.
DROPPED_SUFFIXES = (".debug_pkl",)
DROPPED_PREFIXES = ("traced_inputs", ".data/", "version")


class TraceMismatch(RuntimeError):
    """The saved trace does not compute what the module computes at another batch size."""


def rounded_copy(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The float32 module that the file's weights describe once they are read back."""
    return copy.deepcopy(module).eval().to(dtype).float()


def save_trace(
    module: nn.Module,
    example_inputs: Sequence[Tensor],
    path: Path,
    dtype: torch.dtype,
    batched: Sequence[bool] | None = None,
) -> tuple[nn.Module, torch.jit.ScriptModule]:
    """Trace at float32, store the weights as `dtype`, and check the reloaded file.

    Every example input is [B, ...], B >= 2, or those that `batched` says. Raises TraceMismatch if
    the reloaded trace, at B + 1 and back in float32, differs by more than 1e-4 from the module with
    its weights rounded. Returns that module and the reloaded trace.
    """
    batched = batched or [True] * len(example_inputs)
    reference = rounded_copy(module, dtype)
    with torch.inference_mode():
        traced = torch.jit.trace(copy.deepcopy(reference), tuple(example_inputs), check_trace=False)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "traced.pt"
        traced.to(dtype).save(str(raw))
        copy_archive(raw, path)
    reloaded = torch.jit.load(str(path)).float()
    larger = [
        torch.cat([value, value[:1]]) if follows else value
        for value, follows in zip(example_inputs, batched, strict=True)
    ]
    with torch.inference_mode():
        expected, found = reference(*larger), reloaded(*larger)
    if expected.shape != found.shape or not torch.allclose(expected, found, atol=1e-4, rtol=1e-4):
        raise TraceMismatch(
            f"the trace in {path.name} was made with {len(example_inputs[0])} rows and is wrong "
            f"with {len(larger[0])}: forward() must not turn a size into a constant"
        )
    return reference, reloaded


def copy_archive(source: Path, target: Path) -> None:
    """Copy a TorchScript archive without what tells of the exporting machine."""
    reader = torch._C.PyTorchFileReader(str(source))
    writer = torch._C.PyTorchFileWriter(str(target))
    # The version says how to read the operators; the writer's own default is the oldest.
    version = next(name for name in (".data/version", "version") if reader.has_record(name))
    writer.set_min_version(int(reader.get_record(version)))
    for name in reader.get_all_records():
        if name.endswith(DROPPED_SUFFIXES) or name.startswith(DROPPED_PREFIXES):
            continue
        record = reader.get_record(name)
        writer.write_record(name, record, len(record))
    writer.write_end_of_file()


def file_record(path: Path) -> dict[str, Any]:
    """What bundle.json says of a file: its sha256 and its size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        # In pieces: a transformer's file may be larger than the memory that is left.
        while piece := file.read(1 << 22):
            digest.update(piece)
    return {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def to_json(content: Any) -> str:
    """Indented JSON, with each innermost list on one line."""
    text = json.dumps(content, indent=2)
    lists = re.compile(r"\[\s+([^][{}]*?)\s+\]")
    return lists.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def write_bundle(
    module: nn.Module,
    example_inputs: Sequence[Tensor],
    description: Mapping[str, Any],
    out: Path,
    *,
    dtype: str = "float16",
    other_modules: Mapping[str, tuple[nn.Module, Sequence[Tensor]]] | None = None,
    documents: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the bundle `out` (a folder, replaced whole) and return its manifest.

    module, example_inputs: the transformer and inputs to trace it with, [B, ...] with B >= 2 where
    the description says that an input is batched; description: bundle.json without `format`,
    `files` and the transformer's `file` and `dtype`, which are filled in here, and with the streams
    of `transformer.blocks` in the order in which the module's blocks return them, which becomes
    that of the trace; dtype: "float32", "float16" or "bfloat16", of the weights on disk;
    other_modules: further files to trace, name -> (module, example inputs); documents: further
    JSON files, name -> content. Raises TraceMismatch; `out` is then left as it was.
    """
    out = Path(out)
    transformer = dict(description["transformer"])
    batched = [each["shape"][0] == "batch" for each in transformer.get("inputs", [])]
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    folder.chmod(0o755)
    try:
        file = folder / "transformer.pt"
        reference, traced = save_trace(module, example_inputs, file, DTYPES[dtype], batched)
        if "blocks" in transformer:
            transformer["blocks"] = traced_streams(
                reference, traced, example_inputs, transformer["blocks"]
            )
        for name, (each, inputs) in (other_modules or {}).items():
            save_trace(each, inputs, folder / name, DTYPES[dtype])
        for name, content in (documents or {}).items():
            (folder / name).write_text(to_json(content))
        manifest = {
            "format": 1,
            **description,
            "files": {path.name: file_record(path) for path in sorted(folder.iterdir())},
            "transformer": {
                "file": "transformer.pt",
                "dtype": dtype,
                **transformer,
            },
        }
        (folder / "bundle.json").write_text(to_json(manifest))
        replace_folder(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest


def replace_folder(new: Path, out: Path) -> None:
    """Rename `new` to `out`; a folder that stood there is put back if that fails."""
    if not out.exists():
        os.rename(new, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
    os.rename(out, old)
    try:
        os.rename(new, out)
    except OSError:
        os.rename(old, out)
        raise
    shutil.rmtree(old)


def read_manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "bundle.json").read_text())
