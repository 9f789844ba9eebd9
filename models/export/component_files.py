"""The weights of one component in a folder: which files they are, and whether all of them are there."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from models.export.errors import ExportError
from models.export.json_file import read_json
from models.export.weight_file import Entry, table_of

WEIGHTS = ("*.safetensors", "*.bin")
SHARD = re.compile(r"-\d{5}-of-\d{5}")


class ComponentFiles:
    """The folder of a component. label: what messages call it, such as `the vae of NAME`."""

    def __init__(self, folder: Path, label: str) -> None:
        self.folder = folder
        self.label = label

    @cached_property
    def weights(self) -> list[Path]:
        """Every file of weights, of whatever variant."""
        return [path for pattern in WEIGHTS for path in sorted(self.folder.glob(pattern))]

    @cached_property
    def is_safetensors(self) -> bool:
        """Whether the component is read from .safetensors files; else from PyTorch's own, .bin."""
        return any(path.suffix == ".safetensors" for path in self.weights)

    @cached_property
    def of_one_kind(self) -> list[Path]:
        suffix = ".safetensors" if self.is_safetensors else ".bin"
        return [path for path in self.weights if path.suffix == suffix]

    @cached_property
    def variant(self) -> str | None:
        """`fp16` where the folder has model.fp16.safetensors alone; None where it has the plain file."""
        variants = {variant_of(path) for path in self.of_one_kind}
        return None if None in variants or not variants else sorted(variants)[0]

    @cached_property
    def index_of_shards(self) -> Path | None:
        """The list of the shards that are read; other variants and kinds of file may have their own."""
        kind = "safetensors" if self.is_safetensors else "bin"
        endings = [f".{kind}.index.json"]
        if self.variant:
            endings = [
                f".{kind}.index.{self.variant}.json",
                f".{kind}.{self.variant}.index.json",
            ]
        indices = sorted(self.folder.glob("*.json"))
        return next((path for path in indices if path.name.endswith(tuple(endings))), None)

    @cached_property
    def read(self) -> list[Path]:
        """The files that are read: of one kind and one variant."""
        if self.index_of_shards:
            shards = set(read_json(self.index_of_shards).get("weight_map", {}).values())
            return sorted(self.folder / shard for shard in shards)
        return [path for path in self.of_one_kind if variant_of(path) == self.variant]

    def require_all(self) -> None:
        """Raise CHECKPOINT_INCOMPLETE or CHECKPOINT_DAMAGED for weights that are not all there."""
        present = [path.name for path in self.weights]
        if not present:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"{self.label} has no weights in {self.folder}.",
                received=sorted(path.name for path in self.folder.iterdir()),
                expected="a .safetensors file",
            )
        if self.index_of_shards is None:
            self.refuse_shards_without_index()
        missing = sorted(path.name for path in self.read if not path.exists())
        if missing and self.index_of_shards:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"{self.label} lacks {', '.join(missing)}, which {self.index_of_shards.name} names.",
                received=present,
                expected="every shard",
            )
        for path in self.read:
            table_of(path)

    def refuse_shards_without_index(self) -> None:
        shards = [path for path in self.read if SHARD.search(path.name)]
        if not shards:
            return
        name = SHARD.sub("", shards[0].name)
        place = f"{name}.index.json"
        raise ExportError(
            "CHECKPOINT_INCOMPLETE",
            f"{self.label} is in several files, and {place}, which says what is in which, is missing.",
            received=[path.name for path in shards],
            expected=place,
        )

    @cached_property
    def tensors(self) -> dict[str, Entry]:
        """Every tensor of the files that are read."""
        return {name: entry for path in self.read for name, entry in table_of(path).items()}


def variant_of(path: Path) -> str | None:
    """`fp16` of model.fp16.safetensors, and of both ways in which shards of a variant are named."""
    parts = SHARD.sub("", path.name).removesuffix(path.suffix).split(".")
    return parts[1] if len(parts) > 1 else None
