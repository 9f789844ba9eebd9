"""Where a checkpoint comes from: a folder, or an id on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from models.export.checkpoint import Checkpoint, last_line
from models.export.errors import ExportError
from models.export.json_file import read_json
from models.export.single_file import SingleFile
from models.export.unsupported import refuse_file, refuse_lora


def open_source(
    source: str, *, revision: str | None = None, config: Path | None = None
) -> Checkpoint:
    """The checkpoint in a folder, in one file with the folder `config` (single_file.py), or of a hub
    id (`owner/name`), which is downloaded first.

    The download is diffusers' own: only the files that the pipeline needs, into the hub's cache, with
    the token and the endpoint that huggingface_hub finds. Raises CHECKPOINT_NOT_FOUND.
    """
    place = Path(source).expanduser()
    if place.name == "model_index.json":
        place = place.parent
    if place.is_dir():
        refuse_other_folders(place)
        return Checkpoint(place)
    if place.is_file():
        refuse_file(place)
        if config is None:
            raise ExportError(
                "BAD_OPTION",
                f"{place} has weights alone: expected --config with a folder that has the configurations "
                "and the tokenizers of the same model, received none.",
                expected="--config FOLDER",
            )
        return SingleFile(place, open_source(str(config)).folder)
    if place.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise ExportError(
            "CHECKPOINT_NOT_FOUND",
            f"There is no folder or file {source}, and it is no id of the hub (owner/name) either.",
            received=source,
            expected="a folder with a model_index.json, a .safetensors file, or owner/name",
        )
    return Checkpoint(download(source, revision), name=source)


def refuse_other_folders(folder: Path) -> None:
    """Raise for a folder that is no pipeline, by what it is."""
    if (folder / "model_index.json").is_file():
        return
    names = sorted(path.name for path in folder.iterdir())
    if "adapter_config.json" in names or "pytorch_lora_weights.safetensors" in names:
        refuse_lora([".lora_A."], str(folder))
    what = "so it is no checkpoint of diffusers"
    if "config.json" in names:
        kind = read_json(folder / "config.json").get("_class_name", "one component")
        what = f"but the {kind} of one alone; name the folder of the whole pipeline"
    raise ExportError(
        "CHECKPOINT_NOT_FOUND",
        f"The folder {folder} has no model_index.json, {what}.",
        received=names[:20],
        expected="a folder as save_pretrained writes it",
    )


def download(repository: str, revision: str | None) -> Path:
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(repository, revision=revision))
    except Exception as error:
        raise ExportError(
            "CHECKPOINT_NOT_FOUND",
            f"{repository} could not be downloaded: {last_line(error)} If it asks for a licence, "
            "accept it on its page and log in with `hf auth login`.",
            received=repository,
            expected="an id of the hub that you have access to",
        ) from error
