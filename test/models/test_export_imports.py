"""The published package carries models/export without the rest of models: it may import nothing of that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import models.export

FILES = sorted(Path(models.export.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_exporter_imports_no_research(file: Path) -> None:
    imported: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            imported += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            imported += [f"{node.module}.{name.name}" for name in node.names]
    own = [name for name in imported if name == "models" or name.startswith("models.")]
    assert [name for name in own if not name.startswith("models.export.")] == []
