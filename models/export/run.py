"""An export from beginning to end: component by component, so that one is in memory at a time."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.export import licence
from models.export.checkpoint import Checkpoint
from models.export.dit import Dit
from models.export.errors import ExportError, unwritable
from models.export.family import Family
from models.export.flux import Flux
from models.export.loader import Loader, LoaderRefused
from models.export.pixart import PixArt
from models.export.plan import Component, Plan
from models.export.progress import Progress, Silent
from models.export.sd3 import Sd3
from models.export.trace import write_trace
from models.export.wan import Wan
from models.export.workspace import Workspace, open_workspace

FAMILIES: tuple[Family, ...] = (Sd3(), Flux(), Dit(), PixArt(), Wan())
# Part of every fingerprint: a file made by another version of this exporter is made again.
VERSION = 2


def family_of(checkpoint: Checkpoint) -> Family:
    """The family that knows the checkpoint's pipeline; else CHECKPOINT_UNSUPPORTED."""
    for family in FAMILIES:
        if checkpoint.pipeline_class in family.pipelines:
            return family
    known = ", ".join(family.pipelines[0] for family in FAMILIES)
    raise ExportError(
        "CHECKPOINT_UNSUPPORTED",
        f"{checkpoint.name}: expected a pipeline that the exporter knows ({known}, and their variants), "
        f"received a {checkpoint.pipeline_class}; for others write an adapter of your own "
        "(docs/export.md).",
        received=checkpoint.pipeline_class,
        expected=known,
    )


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    dtype: str | None = None,
    name: str | None = None,
    licence_text: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    loader: Loader | None = None,
) -> dict[str, Any]:
    """Write the bundle `out` of a diffusers checkpoint and return bundle.json's content.

    dtype: float32, float16 or bfloat16, of the weights on disk; None: as the transformer's are
    stored. Components that an interrupted export of the same checkpoint finished are kept. Raises
    ExportError; `out` is then as it was.
    """
    family = family_of(checkpoint)
    checkpoint.require("transformer")
    checkpoint.require("vae")
    checkpoint.require("scheduler")
    dtype = dtype or checkpoint.stored_dtype()
    plan = family.plan(checkpoint, dtype)
    for component in plan.components:
        # What is missing is told before hours of work.
        checkpoint.require(component.source)
        if component.trace is not None:
            checkpoint.tensors(component.source)
    plan.notes.extend(checkpoint.notes(dtype))
    return write_plan(
        plan,
        out,
        fingerprints={
            component.source: checkpoint.fingerprint(component.source)
            for component in plan.components
        },
        heading={
            "name": name or checkpoint.name,
            "licence": licence_text or licence.licence_of(checkpoint),
        },
        facts=[dtype],
        overwrite=overwrite,
        progress=progress or Silent(),
        loader=loader or Loader(),
    )


def write_plan(
    plan: Plan,
    out: Path,
    *,
    fingerprints: Mapping[str, str],
    heading: Mapping[str, Any],
    facts: list[Any],
    overwrite: bool,
    progress: Progress,
    loader: Loader,
) -> dict[str, Any]:
    """Make every component that is not finished yet, then bundle.json, and have the loader open it."""
    workspace = open_workspace(out, overwrite=overwrite)
    progress.event("start", components=[each.name for each in plan.components])
    for note in plan.notes:
        progress.event("warning", message=note)
    records: dict[str, Mapping[str, Any]] = {}
    files: dict[str, Any] = {}
    try:
        for index, component in enumerate(plan.components):
            fingerprint = mixed(fingerprints[component.source], component.file, *facts)
            note = make(workspace, component, fingerprint, index, len(plan.components), progress)
            records[component.name] = note["record"]
            files[component.file] = note["size"]
        manifest = {"format": 1, **heading, **plan.describe(records), "files": files}
        if plan.notes:
            manifest["x-notes"] = plan.notes
        workspace.write_manifest(manifest)
        check(loader, workspace, list(files), progress)
        workspace.publish(list(files))
    except OSError as error:
        raise unwritable(workspace.out, error) from error
    progress.event("done", out=str(workspace.out))
    return manifest


def check(loader: Loader, workspace: Workspace, files: list[str], progress: Progress) -> None:
    """Have the loader open the bundle; files that it does not take are made again by the next attempt."""
    values = {file: workspace.values_path(file) for file in files}
    try:
        present = {file: path for file, path in values.items() if path.is_file()}
        loader.check(workspace.folder, present, progress)
    except LoaderRefused as refused:
        for file in files if refused.is_of_files else []:
            workspace.drop(file)
        raise


def make(
    workspace: Workspace,
    component: Component,
    fingerprint: str,
    index: int,
    total: int,
    progress: Progress,
) -> dict[str, Any]:
    """The note of the finished component, made now or kept."""

    def report(state: str, **details: Any) -> None:
        progress.event(
            "component", name=component.name, state=state, index=index, total=total, **details
        )

    kept = workspace.finished(component.file, fingerprint)
    if kept:
        report("kept", bytes=kept["size"]["bytes"])
        return kept
    workspace.drop(component.file)
    path = workspace.path(component.file)
    # Under its own name only when it is whole.
    partial = path.with_name(f".{path.name}.partial")
    try:
        if component.trace is not None:
            report("loading")
            values = workspace.values_path(component.file)
            record = {"blocks": write_trace(component.trace(), partial, report, values)}
        else:
            report("writing")
            record = component.write(partial)
        partial.replace(path)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "not enough memory" in str(error):
            raise out_of_memory(component) from error
        raise
    finally:
        partial.unlink(missing_ok=True)
        gc.collect()
    note = workspace.keep(component.file, fingerprint, record)
    report("done", bytes=note["size"]["bytes"])
    return note


def out_of_memory(component: Component) -> ExportError:
    return ExportError(
        "OUT_OF_MEMORY",
        f"There was not enough memory to export {component.name}. The weights of one component have "
        "to fit; what was finished is kept for the next attempt.",
        expected="a machine with more memory, or a smaller --dtype",
    )


def mixed(*facts: Any) -> str:
    versions = [VERSION, torch.__version__]
    for package in ("diffusers", "transformers"):
        try:
            versions.append(importlib.import_module(package).__version__)
        except ImportError:
            versions.append(None)
    return hashlib.sha256(json.dumps([versions, facts]).encode()).hexdigest()
