"""One file of weights: the table of its tensors, read without the tensors, and whether it is whole."""

from __future__ import annotations

import json
import math
import pickle
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from models.export.dtypes import NAMES, WRITTEN_AS
from models.export.errors import ExportError

LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Entry:
    """A tensor of a file. dtype: as safetensors names it (F32, BF16, F8_E4M3, I64, …)."""

    dtype: str
    shape: tuple[int, ...]


def table_of(path: Path) -> dict[str, Entry]:
    """Every tensor of a .safetensors or .bin file by its name. Raises CHECKPOINT_DAMAGED for a file that
    is cut short, CHECKPOINT_INCOMPLETE for one that is not there."""
    if not path.exists():
        raise ExportError(
            "CHECKPOINT_INCOMPLETE",
            f"{path} is a link to nothing: what it names was not downloaded, or removed.",
            received=str(path),
            expected="that file",
        )
    return pickled_table(path) if path.suffix == ".bin" else safetensors_table(path)


def safetensors_table(path: Path) -> dict[str, Entry]:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise damaged(path, f"it has {size} bytes")
        (length,) = struct.unpack("<Q", head)
        if length > size - 8:
            if (head + file.read(len(LFS_POINTER))).startswith(LFS_POINTER):
                raise pointer(path)
            raise damaged(path, f"it has {size} bytes, and its header alone says {length + 8}")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            table = {name: entry_of(fields) for name, fields in header.items()}
            end = max((fields["data_offsets"][1] for fields in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise damaged(path, "its header is no table of tensors") from error
    if size != 8 + length + end:
        raise damaged(path, f"it has {size} bytes, its header says {8 + length + end}")
    return table


def entry_of(fields: dict[str, Any]) -> Entry:
    return Entry(fields["dtype"], tuple(fields["shape"]))


def pickled_table(path: Path) -> dict[str, Entry]:
    """Of PyTorch's own format. Only tensors are unpickled, and none of their values read."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise pointer(path)
    try:
        tensors = torch.load(path, map_location="meta", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise damaged(
            path, f"PyTorch cannot read it ({str(error).strip().splitlines()[0]})"
        ) from error
    return {
        name: Entry(NAMES.get(value.dtype, str(value.dtype)), tuple(value.shape))
        for name, value in tensors.items()
        if isinstance(value, Tensor)
    }


def read_tensor(files: Iterable[Path], name: str) -> Tensor:
    """One tensor of the files that have it, none of the others. Raises KeyError."""
    for path in files:
        if path.suffix == ".bin":
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            if name in tensors:
                return tensors[name]
            continue
        with safe_open(path, framework="pt") as tensors:
            if name in tensors.keys():  # noqa: SIM118 (it is no mapping)
                return tensors.get_tensor(name)
    raise KeyError(name)


def damaged(path: Path, reason: str) -> ExportError:
    return ExportError(
        "CHECKPOINT_DAMAGED",
        f"{path} is damaged: {reason}. Download it again.",
        received=path.stat().st_size,
        expected="a whole file of weights",
    )


def pointer(path: Path) -> ExportError:
    return ExportError(
        "CHECKPOINT_INCOMPLETE",
        f"{path} is a pointer of Git LFS in place of the weights; `git lfs pull` in its repository "
        "downloads them.",
        received=str(path),
        expected="the weights",
    )


def written_as(entries: Iterable[Entry]) -> str:
    """The dtype in which most of the values are written where none is asked for."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts[WRITTEN_AS.get(entry.dtype, "float32")] += math.prod(entry.shape)
    return counts.most_common(1)[0][0] if counts else "float32"
