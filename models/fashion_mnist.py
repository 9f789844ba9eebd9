"""Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv 1708.07747; MIT licence) from its IDX files.

Debian's package `dataset-fashion-mnist` installs them in `DEFAULT_FOLDER`.

    python -m models.fashion_mnist --split test --out fashion-mnist-test.safetensors

writes a split as a file that `detail-guidance evaluate --reference` takes: the tensors `images`,
uint8 [N, 28, 28, 1], and `labels`, int64 [N].
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.command_line import parser_of, run_command

DEFAULT_FOLDER = Path("/usr/share/datasets/fashion-mnist")

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

PREFIXES = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes, as an array of the shape its header gives."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes: it starts with {content[:4].hex()}, "
            "it should start with 000008"
        )
    rank = content[3]
    shape = np.frombuffer(content, ">u4", count=rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_split(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """`split` is "train" (60 000 images) or "test" (10 000).

    Returns images [N, 1, 28, 28] float32 in [-1, 1] and labels [N] int64 in 0..9.
    """
    images, labels = read_split(folder, split)
    return images[:, None].float() / 127.5 - 1, labels.long()


def read_split(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """The bytes of a split as they are: images [N, 28, 28] and labels [N], both uint8."""
    prefix = PREFIXES[split]
    files = [folder / f"{prefix}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} not found: install Debian's package dataset-fashion-mnist, or give the "
                "folder that holds the four IDX files with --data"
            )
    images, labels = (torch.from_numpy(read_idx(file).copy()) for file in files)
    return images, labels


def main() -> None:
    # Not at the top: only this command needs it.
    from safetensors.torch import save_file

    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument("--split", choices=sorted(PREFIXES), default="test", help="of the data set")
    parser.add_argument(
        "--out", type=Path, default=Path("fashion-mnist-test.safetensors"), help="to write"
    )
    arguments = parser.parse_args()
    images, labels = read_split(arguments.data, arguments.split)
    save_file({"images": images[..., None].contiguous(), "labels": labels.long()}, arguments.out)
    print(f"wrote {arguments.out}: {len(images)} images")


if __name__ == "__main__":
    run_command(main)
