"""Names in a module that a TorchScript file cannot hold: it would be written, and never read."""

from __future__ import annotations

import inspect
import re

from torch import nn

from models.export.errors import ExportError

READABLE = re.compile(r"[A-Za-z0-9_]+")


class ReadableKeys(nn.ModuleDict):
    """A ModuleDict that finds its modules by keys of any letters, under names that TorchScript takes."""

    def __getitem__(self, key: str) -> nn.Module:
        return super().__getitem__(readable(key))

    def __contains__(self, key: str) -> bool:
        return super().__contains__(readable(key))


def readable(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", key)


def make_keys_readable(module: nn.Module) -> None:
    """Rename the entries of ModuleDicts, such as '2-1', where no two become one."""
    for each in module.modules():
        names = [readable(key) for key in each._modules]
        if type(each) is nn.ModuleDict and len(set(names)) == len(names):
            each._modules = dict(zip(names, each._modules.values(), strict=True))
            each.__class__ = ReadableKeys


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
