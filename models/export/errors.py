"""What an export fails with: a stable code of lib/validation/errors.ts, and a sentence with what was expected."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any


class ExportError(RuntimeError):
    """`code` is one of: BAD_OPTION, CHECKPOINT_NOT_FOUND, CHECKPOINT_UNSUPPORTED, CHECKPOINT_INCOMPLETE,
    CHECKPOINT_DAMAGED, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, OUT_OF_MEMORY, EXPORT_FAILED; docs/errors.md explains them."""

    def __init__(
        self, code: str, message: str, *, received: Any = None, expected: str | None = None
    ):
        super().__init__(message)
        self.code = code
        self.received = received
        self.expected = expected

    def as_json(self) -> dict[str, Any]:
        content = {"code": self.code, "message": str(self)}
        if self.received is not None:
            content["received"] = self.received
        if self.expected is not None:
            content["expected"] = self.expected
        return content


def unwritable(place: Path, error: OSError) -> ExportError:
    """OUTPUT_UNWRITABLE with the reason in words."""
    reasons = {
        errno.ENOSPC: "the disk is full, or a limit is reached",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "there is no permission",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is a file",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return ExportError(
        "OUTPUT_UNWRITABLE",
        f"{place} cannot be written: {reason}. Expected a folder that can be written, with room for the weights twice.",
        received=str(place),
        expected="a folder that can be written, with room for the weights twice",
    )
