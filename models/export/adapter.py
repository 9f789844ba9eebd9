"""Bundles of modules of one's own: a Python file with a function `adapter` that describes one.

docs/export.md explains it, examples/adapter/grating.py is one that runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.export.checkpoint import fingerprint_of
from models.export.dtypes import DTYPES
from models.export.errors import ExportError
from models.export.loader import Loader
from models.export.plan import Component, Plan
from models.export.progress import Progress, Silent
from models.export.run import write_plan
from models.export.trace import Traceable


@dataclass
class Adapter:
    """What `adapter(source, dtype)` returns.

    transformer: the module, inputs to trace it with, further inputs of other batch sizes (and of
    other resolutions, if it takes any) to check the trace with, and its blocks: their path and the
    streams they return, in the module's own order. description: bundle.json without `format`,
    `name`, `licence`, `files`, and the transformer's `file`, `dtype` and `blocks`; components:
    further files by their name in the bundle, such as "vae/decoder.pt".
    """

    transformer: Traceable
    description: Mapping[str, Any]
    components: Mapping[str, Traceable] = field(default_factory=dict)
    name: str | None = None
    licence: str | None = None


def export_adapter(
    file: Path,
    out: Path,
    *,
    source: str | None = None,
    dtype: str | None = None,
    name: str | None = None,
    licence_text: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    loader: Loader | None = None,
) -> dict[str, Any]:
    """Write the bundle of what `file` describes; `source` (--from) is passed on to it as it is.

    dtype: of the weights on disk, float32 by default. Raises ExportError.
    """
    dtype = dtype or "float32"
    made = call(file, source, DTYPES[dtype])
    traceables = {"transformer.pt": made.transformer, **made.components}
    parts = [
        Component(
            path.removesuffix(".pt"),
            path,
            "adapter",
            trace=lambda traceable=traceable: in_dtype(traceable, DTYPES[dtype]),
        )
        for path, traceable in traceables.items()
    ]

    def describe(records: Mapping[str, Any]) -> dict[str, Any]:
        description = dict(made.description)
        description["transformer"] = {
            "file": "transformer.pt",
            "dtype": dtype,
            **description["transformer"],
            "blocks": records["transformer"]["blocks"],
        }
        return description

    digest = hashlib.sha256(str(source).encode())
    for path in [file, *imported_from(file.resolve().parent), *files_of(source)]:
        digest.update(str(path).encode())
        fingerprint_of(path, digest)
    return write_plan(
        Plan(parts, describe, []),
        out,
        fingerprints={"adapter": digest.hexdigest()},
        heading={
            "name": name or made.name or file.stem,
            "licence": licence_text or made.licence or "unknown",
        },
        facts=[dtype],
        overwrite=overwrite,
        progress=progress or Silent(),
        loader=loader or Loader(),
    )


def files_of(source: str | None) -> list[Path]:
    """The files of a source that is a path."""
    if source is None:
        return []
    place = Path(source)
    return sorted(path for path in [place, *place.rglob("*")] if path.is_file())


def imported_from(folder: Path) -> list[Path]:
    """What was imported from beside the adapter, packages that are installed there apart."""
    places = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    paths = {Path(place).resolve() for place in places if place}
    return sorted(
        path
        for path in paths
        if path.is_relative_to(folder) and "site-packages" not in path.relative_to(folder).parts
    )


def in_dtype(traceable: Traceable, dtype: torch.dtype) -> Traceable:
    traceable.module.to(dtype)
    return traceable


def call(file: Path, source: str | None, dtype: torch.dtype) -> Adapter:
    """Run the user's file. What it throws passes through, with its own message."""
    spec = importlib.util.spec_from_file_location("detail_guidance_adapter", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise ExportError(
            "BAD_OPTION",
            f"--adapter: expected a Python file with a function adapter(source, dtype), received {file}, "
            "which is not there.",
            received=str(file),
            expected="a .py file",
        )
    module = importlib.util.module_from_spec(spec)
    # An adapter may import what lies beside it.
    sys.path.insert(0, str(file.resolve().parent))
    # Dataclasses of a file with postponed annotations look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    make = getattr(module, "adapter", None)
    made = make(source, dtype) if callable(make) else None
    if not isinstance(made, Adapter):
        what = f"returns a {type(made).__name__}" if callable(make) else "is not there"
        raise ExportError(
            "BAD_OPTION",
            f"{file}: expected a function adapter(source, dtype) that returns an Adapter of "
            f"models.export.adapter; it {what}.",
            received=str(file),
            expected="def adapter(source, dtype) -> Adapter",
        )
    return made
