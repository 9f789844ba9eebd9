"""Where a checkpoint comes from: a folder, or an id on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from models.export.checkpoint import Checkpoint, last_line
from models.export.errors import ExportError
from models.export.single_file import SingleFile


def open_source(
    source: str, *, revision: str | None = None, config: Path | None = None
) -> Checkpoint:
    """The checkpoint in a folder, in one file with the folder `config` (single_file.py), or of a hub
    id (`owner/name`), which is downloaded first.

    The download is diffusers' own: only the files that the pipeline needs, into the hub's cache, with
    the token and the endpoint that huggingface_hub finds. Raises CHECKPOINT_NOT_FOUND.
    """
    folder = Path(source).expanduser()
    if folder.name == "model_index.json":
        folder = folder.parent
    if folder.is_file() and folder.suffix == ".safetensors":
        if config is None:
            raise ExportError(
                "BAD_OPTION",
                f"{folder} has weights alone; --config with a folder that has the configurations and "
                "the tokenizers of the same model would be right.",
                expected="--config FOLDER",
            )
        return SingleFile(folder, open_source(str(config)).folder)
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise ExportError(
                "CHECKPOINT_NOT_FOUND",
                f"The folder {folder} has no model_index.json, so it is no checkpoint of diffusers.",
                found=sorted(path.name for path in folder.iterdir())[:20],
                expected="a folder as save_pretrained writes it",
            )
        return Checkpoint(folder)
    if folder.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise ExportError(
            "CHECKPOINT_NOT_FOUND",
            f"There is no folder {source}, and it is no id of the hub (owner/name) either.",
            found=source,
            expected="a folder with a model_index.json, a .safetensors file, or owner/name",
        )
    return Checkpoint(download(source, revision), name=source)


def download(repository: str, revision: str | None) -> Path:
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(repository, revision=revision))
    except Exception as error:
        raise ExportError(
            "CHECKPOINT_NOT_FOUND",
            f"{repository} could not be downloaded: {last_line(error)} If it asks for a licence, "
            "accept it on its page and log in with `hf auth login`.",
            found=repository,
            expected="an id of the hub that you have access to",
        ) from error
