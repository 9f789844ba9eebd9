"""JSON files of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.export.errors import ExportError


def read_json(path: Path) -> dict[str, Any]:
    """Raises CHECKPOINT_INCOMPLETE when it is missing, CHECKPOINT_DAMAGED when it is no JSON object."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ExportError(
            "CHECKPOINT_INCOMPLETE", f"{path} is missing.", received=str(path), expected="that file"
        ) from error
    except ValueError as error:
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"{path} is not JSON: {error}.",
            received=str(path),
            expected="JSON",
        ) from error
    if not isinstance(content, dict):
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"{path}: expected a JSON object, received a {type(content).__name__}.",
            received=str(path),
            expected="a JSON object",
        )
    return content
