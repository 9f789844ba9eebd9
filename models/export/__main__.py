"""Write the bundle of a diffusers checkpoint.

    python -m models.export --from FOLDER_OR_HUB_ID --out BUNDLE [--dtype bfloat16]

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

from models.export.errors import ExportError
from models.export.progress import Progress


def arguments(values: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m models.export", description="Write the bundle of a diffusers checkpoint."
    )
    parser.add_argument(
        "--from", dest="source", required=True, help="a folder, or an id of the Hugging Face hub"
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
    return parser.parse_args(values)


def main() -> int:
    options = arguments()
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
    from models.export.run import export
    from models.export.source import open_source

    export(
        open_source(options.source, revision=options.revision),
        options.out,
        dtype=options.dtype,
        name=options.name,
        licence_text=options.licence,
        overwrite=options.overwrite,
        progress=progress,
    )


def quiet() -> None:
    """What the libraries print is about sizes in traces and versions to come; errors stay."""
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    logging.getLogger("torch").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
