"""A checkpoint in one .safetensors file, renamed by diffusers, with a folder for the rest.

Such files hold the transformer, often the VAE, and no configuration. The folder is a checkpoint of
diffusers of the same model: its configurations and tokenizers are used, and the weights of every
component that it has; the transformer is always the file's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from models.export.checkpoint import Checkpoint, fingerprint_of, last_line
from models.export.component_files import ComponentFiles
from models.export.errors import ExportError
from models.export.float8_scales import Float8Scales
from models.export.unsupported import refuse_lora, refuse_quantised
from models.export.weight_file import Entry, read_tensor, table_of
from models.export.whole import require_whole

# What the names of a component begin with in a file that holds several.
TRANSFORMER = ("model.diffusion_model.", "diffusion_model.")
VAE = ("first_stage_model.", "vae.")
OTHERS = ("text_encoders.", "cond_stage_model.", "conditioner.", "text_encoder.", "model_ema.")


class Recorded(dict):
    """Weights by name, and which of them a converter took: what it did not would be lost."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.taken.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.taken.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.taken.add(name)
        return super().pop(name, *default)

    def items(self) -> Any:
        self.taken.update(self)
        return super().items()


class SingleFile(Checkpoint):
    """`file` with the configurations in `folder`. No network is used."""

    def __init__(self, file: Path, folder: Path, *, name: str | None = None) -> None:
        super().__init__(folder, name=name or file.stem)
        self.file = file
        self.table = table_of(file)
        refuse_lora(self.table, file.name)

    def from_file(self, component: str) -> bool:
        """Whether the file is read for it: the transformer, and a VAE that the folder has no weights of."""
        if component == "transformer":
            return True
        return component == "vae" and not ComponentFiles(self.folder / component, "").weights

    def tensors(self, component: str) -> dict[str, Entry]:
        if not self.from_file(component):
            return super().tensors(component)
        own = {name: self.table[place] for name, place in self.places(component).items()}
        refuse_quantised(own, self.label(component))
        return own

    def places(self, component: str) -> dict[str, str]:
        """The names of its weights without the prefix of the component -> those in the file."""
        prefixes = TRANSFORMER if component == "transformer" else VAE
        for prefix in prefixes:
            own = [name for name in self.table if name.startswith(prefix)]
            if own:
                return {name.removeprefix(prefix): name for name in own}
        return {name: name for name in self.table if not name.startswith((*VAE, *OTHERS))}

    def read_of(self, component: str) -> Callable[[str], Tensor]:
        if not self.from_file(component):
            return super().read_of(component)
        places = self.places(component)
        return lambda name: read_tensor([self.file], places[name])

    def load(self, component: str, dtype: torch.dtype) -> nn.Module:
        if not self.from_file(component):
            return super().load(component, dtype)
        self.require(component)
        kind = self.class_of(component)
        where = {"subfolder": component, "local_files_only": True}
        config = kind.load_config(str(self.folder), **where)
        with torch.device("meta"):
            empty = kind.from_config(config)
        wanted = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
        renamed, untaken = self.renamed(component, kind, config, wanted, dtype)
        require_whole(
            empty,
            f"{self.label(component)} ({self.file.name})",
            missing=wanted.keys() - renamed.keys(),
            unexpected=(renamed.keys() - wanted.keys()) | untaken,
            mismatched=[
                (name, tuple(renamed[name].shape), shape)
                for name, shape in wanted.items()
                if name in renamed and tuple(renamed[name].shape) != shape
            ],
        )
        own = {name: renamed[name] for name in wanted}
        module = kind.from_single_file(own, config=str(self.folder), torch_dtype=dtype, **where)
        return module.eval().requires_grad_(False)

    def renamed(
        self,
        component: str,
        kind: type,
        config: dict[str, Any],
        wanted: Mapping[str, Any],
        dtype: torch.dtype,
    ) -> tuple[dict[str, Tensor], set[str]]:
        """The weights by diffusers' names, and those names of the file that diffusers did not take."""
        read = Recorded(self.read_all(component, dtype))
        if 2 * len(wanted.keys() & read.keys()) > len(wanted):
            return dict(read), set()
        names = set(read)
        try:
            convert = converter(kind)
            renamed = convert(checkpoint=read, config=config)
        except KeyError as error:
            raise ExportError(
                "CHECKPOINT_INCOMPLETE",
                f"{self.label(component)} ({self.file.name}) lacks weights: {error.args[0]}. Download it "
                "again.",
                received=sorted(names)[:5],
                expected=str(error.args[0]),
            ) from error
        except (LookupError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            raise ExportError(
                "CHECKPOINT_UNSUPPORTED",
                f"diffusers does not find the {component}, a {kind.__name__}, in {self.file.name} "
                f"({last_line(error)}). Expected a file of the model whose configuration is in {self.folder}, "
                "or a folder as save_pretrained writes it.",
                received=sorted(names)[:5],
                expected=f"the weights of a {kind.__name__}",
            ) from error
        return renamed, names - read.taken

    def read_all(self, component: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """Its weights in the dtype asked for, float8 multiplied by its scales."""
        places = self.places(component)
        scales = Float8Scales(places, self.read_of(component), self.label(component))
        with safe_open(self.file, framework="pt") as file:
            return {
                name: scales.multiplied(name, file.get_tensor(place), dtype)
                for name, place in places.items()
                if name not in scales.own
            }

    def fingerprint(self, component: str) -> str:
        digest = hashlib.sha256(super().fingerprint(component).encode())
        if self.from_file(component):
            fingerprint_of(self.file, digest)
        return digest.hexdigest()


def converter(kind: type) -> Callable[..., dict[str, Tensor]]:
    """diffusers' function that renames the weights of a published file. Raises LookupError."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES as KNOWN

    for each in kind.__mro__:
        if each.__name__ in KNOWN:
            return KNOWN[each.__name__]["checkpoint_mapping_fn"]
    raise LookupError(f"it reads no {kind.__name__} from a single file")
