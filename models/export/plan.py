"""What an export is going to do: the files of a bundle, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.export.trace import Traceable

# What write_trace or a tokenizer left to be said of a finished file.
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Component:
    """One file of the bundle.

    name: for messages; file: in the bundle; source: the folder of the checkpoint that it is made
    from; trace: loads the module (for TorchScript files); write: writes the file (for others) and
    returns its record; record: further facts for bundle.json, known without loading.
    """

    name: str
    file: str
    source: str
    trace: Callable[[], Traceable] | None = None
    write: Callable[[Path], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Plan:
    """components: in the order of work; describe: bundle.json without `format` and `files`, from the
    record of every component by its name; notes: what differs from diffusers, for people."""

    components: list[Component]
    describe: Callable[[Mapping[str, Record]], dict[str, Any]]
    notes: list[str]
