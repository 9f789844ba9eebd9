"""Asking the program that started the export to open the bundle before it gets its name.

`detail-guidance export` has the real loader. It is told the folder and, for every TorchScript file, the
inputs and the outputs of the source (`event: check`), and answers with one line of JSON on stdin:
`{"ok": true}`, or `{"ok": false, "code": …, "message": …}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from models.export.errors import ExportError
from models.export.progress import Progress

# What tells of the files that were made, and not of the machine that opened them or of bundle.json.
CODES_OF_FILES = {
    "EXPORT_FAILED",
    "MODEL_UNREADABLE",
    "MODEL_FAILED",
    "NOT_A_TRANSFORMER",
    "OPERATOR_REFUSED",
    "BUNDLE_CHECKSUM",
    "BAD_TENSOR",
}


class LoaderRefused(ExportError):
    """The loader does not take the bundle. `is_of_files`: the next attempt has to make the files again."""

    def __init__(self, code: str | None, message: str | None):
        super().__init__(
            "EXPORT_FAILED",
            f"The bundle was written, but the loader does not take it: {message}",
            received=code,
            expected="a bundle that loads and gives what the source gives",
        )
        self.is_of_files = code in CODES_OF_FILES


class Loader:
    """Does not ask: the files were read back by PyTorch."""

    def check(self, folder: Path, values: Mapping[str, Path], progress: Progress) -> None:
        """Raise LoaderRefused unless the bundle in `folder` is opened and gives `values`, by its files."""


class ParentLoader(Loader):
    def __init__(self, answers: TextIO | None = None) -> None:
        self.answers = answers or sys.stdin

    def check(self, folder: Path, values: Mapping[str, Path], progress: Progress) -> None:
        places = {file: str(path) for file, path in values.items()}
        progress.event("check", folder=str(folder), values=places)
        line = self.answers.readline()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            answer = {"message": "the loader ended without an answer"}
        if answer.get("ok") is True:
            return
        raise LoaderRefused(answer.get("code"), answer.get("message"))
