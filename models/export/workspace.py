"""The folder beside the output in which an export grows: whole components, kept if it is interrupted.

`.NAME-export` holds each finished file and, beside it, `FILE.json` with its checksum, the
fingerprint of what it was made from, and its record, and `FILE.values` with what its source gives.
It becomes the bundle by one rename, when bundle.json is in it and the loader has opened it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.export.bundle import file_record, replace_folder, to_json
from models.export.errors import ExportError, unwritable


class Workspace:
    """Made by `open_workspace`; one export at a time."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}-export"

    def path(self, file: str) -> Path:
        return self.folder / file

    def record_path(self, file: str) -> Path:
        return self.folder / f"{file}.json"

    def finished(self, file: str, fingerprint: str) -> dict[str, Any] | None:
        """The record of a file that was made from the same source and is still whole, else None."""
        try:
            note = json.loads(self.record_path(file).read_text())
            whole = note["fingerprint"] == fingerprint and note["size"] == file_record(
                self.path(file)
            )
        except (OSError, ValueError, KeyError):
            return None
        return note if whole else None

    def keep(self, file: str, fingerprint: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Note that a file is finished."""
        note = {
            "fingerprint": fingerprint,
            "size": file_record(self.path(file)),
            "record": dict(record),
        }
        temporary = self.record_path(file).with_suffix(".writing")
        temporary.write_text(json.dumps(note))
        os.replace(temporary, self.record_path(file))
        return note

    def drop(self, file: str) -> None:
        """Remove a file that is not to be trusted, and what was noted of it."""
        self.record_path(file).unlink(missing_ok=True)
        self.values_path(file).unlink(missing_ok=True)
        self.path(file).unlink(missing_ok=True)

    def values_path(self, file: str) -> Path:
        """What the source of a TorchScript file gives, while the bundle is not finished."""
        return self.folder / f"{file}.values"

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """bundle.json, so that the folder can be opened. A later attempt writes it again."""
        temporary = self.folder / "bundle.json.writing"
        with temporary.open("w") as file:
            file.write(to_json(manifest))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.folder / "bundle.json")

    def publish(self, files: list[str]) -> None:
        """Leave nothing but bundle.json and the files, and rename the folder to the output."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            place = path.relative_to(self.folder).as_posix()
            if path.is_file() and place not in (*files, "bundle.json"):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        replace_folder(self.folder, self.out)


def open_workspace(out: Path, *, overwrite: bool) -> Workspace:
    """Raise OUTPUT_EXISTS when `out` is there already (unless `overwrite` and it is a bundle),
    OUTPUT_UNWRITABLE when its folder cannot be written."""
    out = out.resolve()
    if out.exists():
        is_bundle = (out / "bundle.json").is_file()
        if not overwrite or not is_bundle:
            way = "--overwrite, or another folder" if is_bundle else "another folder"
            what = "a bundle is there" if is_bundle else "something that is no bundle is there"
            raise ExportError(
                "OUTPUT_EXISTS",
                f"{out} exists already ({what}); expected {way}.",
                received=str(out),
                expected="a folder that does not exist yet",
            )
    workspace = Workspace(out)
    try:
        workspace.folder.mkdir(parents=True, exist_ok=True)
        (workspace.folder / ".writable").touch()
        (workspace.folder / ".writable").unlink()
    except OSError as error:
        raise unwritable(out, error) from error
    return workspace


def discard(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder, ignore_errors=True)
