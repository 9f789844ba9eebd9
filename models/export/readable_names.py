"""Names in a module that a TorchScript file cannot hold: it would be written, and never read."""

from __future__ import annotations

import inspect
import re

from torch import nn

from models.export.errors import ExportError

READABLE = re.compile(r"[A-Za-z0-9_]+")


def refuse_unreadable(module: nn.Module, file: str) -> None:
    """Raise EXPORT_FAILED that names an attribute, an argument of forward() or a class that has letters
    other than A to Z."""
    attributes = [
        name
        for path in (
            *(path for path, _ in module.named_modules()),
            *(path for path, _ in module.named_parameters()),
            *(path for path, _ in module.named_buffers()),
        )
        for name in path.split(".")
        if name
    ]
    arguments = [
        name
        for each in module.modules()
        for name in inspect.signature(type(each).forward).parameters
        if type(each).forward is not nn.Module.forward
    ]
    classes = [type(each).__name__ for each in module.modules()]
    for what, names in (
        ("the attribute", attributes),
        ("the argument of forward()", arguments),
        ("the class", classes),
    ):
        for name in names:
            if not READABLE.fullmatch(name):
                raise ExportError(
                    "EXPORT_FAILED",
                    f"{file} cannot be written so that it can be read again: TorchScript takes letters "
                    f"from A to Z, digits and _ in names, and {what} {name!r} has others.",
                    received=name,
                    expected="names in ASCII",
                )
