"""Write the bundle of a diffusers checkpoint, or of a module of one's own.

    python -m models.export --from FOLDER_OR_HUB_ID --out BUNDLE [--dtype bfloat16]
    python -m models.export --from FILE.safetensors --config FOLDER --out BUNDLE
    python -m models.export --adapter FILE.py --out BUNDLE

An interrupted export goes on where it was when the same command is run again. Exit codes: 0; 1 and a
line `CODE: sentence` (with --progress json the event `error`); 2 for a wrong command line; 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

from models.export.allocator import return_freed_memory
from models.export.errors import ExportError
from models.export.progress import Progress


def arguments(values: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.export", description="Write the bundle of a diffusers checkpoint."
    )
    parser.add_argument(
        "--from",
        dest="source",
        help="a folder, a .safetensors file, or an id of the Hugging Face hub",
    )
    parser.add_argument("--adapter", type=Path, help="Python file that describes a module of yours")
    parser.add_argument(
        "--config", type=Path, help="for a .safetensors file: folder with the rest of the pipeline"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the bundle")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="of the weights on disk (default: as the checkpoint stores its transformer)",
    )
    parser.add_argument("--revision", help="branch, tag or commit, for a hub id")
    parser.add_argument("--name", help="of the bundle (default: the checkpoint's)")
    parser.add_argument("--licence", help="of the weights (default: what the model card says)")
    parser.add_argument("--overwrite", action="store_true", help="replace a bundle that is there")
    parser.add_argument(
        "--progress",
        choices=("text", "json"),
        default="text",
        help="how to tell on stderr what is done (default: text)",
    )
    parser.add_argument(
        "--ask-parent",
        action="store_true",
        help="have the program that started this open the bundle before it gets its name (loader.py)",
    )
    options = parser.parse_args(values)
    if options.source is None and options.adapter is None:
        parser.error("one of --from and --adapter is needed")
    return options


def main() -> int:
    options = arguments()
    return_freed_memory()
    progress = Progress(json_lines=options.progress == "json")
    try:
        work(options, progress)
    except ExportError as error:
        progress.event("error", **error.as_json())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("DEBUG"):
            raise
        text = f"The export failed: {type(error).__name__}: {error} (DEBUG=1 prints where)"
        progress.event("error", code="EXPORT_FAILED", message=text)
        return 1
    return 0


def work(options: argparse.Namespace, progress: Progress) -> None:
    # They take seconds; a wrong command line is told at once.
    quiet()
    from models.export.adapter import export_adapter
    from models.export.loader import Loader, ParentLoader
    from models.export.run import export
    from models.export.source import open_source

    common = {
        "dtype": options.dtype,
        "name": options.name,
        "licence_text": options.licence,
        "overwrite": options.overwrite,
        "progress": progress,
        "loader": ParentLoader() if options.ask_parent else Loader(),
    }
    if options.adapter is not None:
        export_adapter(options.adapter, options.out, source=options.source, **common)
        return
    checkpoint = open_source(options.source, revision=options.revision, config=options.config)
    export(checkpoint, options.out, **common)


def quiet() -> None:
    """What the libraries print is about sizes in traces and versions to come; errors stay."""
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    logging.getLogger("torch").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
