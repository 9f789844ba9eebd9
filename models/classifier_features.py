"""Cut a bundle's classifier before its last layer: the feature network of its evaluations.

    python -m models.classifier_features --bundle models/embedded

Reads the weights of the bundle's classifier, writes `classifier-features.pt` beside it (images
[N, 1, 28, 28] in [-1, 1] -> the 128 activations that the last layer weighs, after their ReLU), and
names it in bundle.json as `classifier.features`. Distances between sets of images in these features
say how alike they are to a judge of garments; they are no FID.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import nn

from models.classifier import Classifier
from models.command_line import parser_of, run_command
from models.export.bundle import DTYPES, file_record, read_manifest, save_trace, to_json
from models.trained import load_judge

FEATURES = "classifier-features.pt"


def feature_network(judge: nn.Sequential) -> nn.Sequential:
    """All layers of the classifier but the last and the dropout before it."""
    return nn.Sequential(*list(judge.children())[:-2]).eval().requires_grad_(False)


def eager_judge(bundle: Path) -> Classifier:
    """The bundle's classifier as an eager float32 module: its state dict, not its trace."""
    judge = Classifier()
    judge.load_state_dict(load_judge(bundle).state_dict())
    return judge.eval().requires_grad_(False)


def add_features(bundle: Path) -> dict:
    """Write the feature network into the bundle; returns the manifest."""
    manifest = read_manifest(bundle)
    dtype = DTYPES[manifest["transformer"]["dtype"]]
    network = feature_network(eager_judge(bundle))
    # In full, also when interrupted: the manifest is the last to change.
    temporary = bundle / f".{FEATURES}.tmp"
    save_trace(network, (torch.randn(2, 1, 28, 28),), temporary, dtype)
    os.replace(temporary, bundle / FEATURES)
    manifest["classifier"]["features"] = FEATURES
    manifest["files"][FEATURES] = file_record(bundle / FEATURES)
    manifest["files"] = dict(sorted(manifest["files"].items()))
    (bundle / "bundle.json.tmp").write_text(to_json(manifest))
    os.replace(bundle / "bundle.json.tmp", bundle / "bundle.json")
    return manifest


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/embedded"), help="a bundle")
    arguments = parser.parse_args()
    manifest = add_features(arguments.bundle)
    record = json.dumps(manifest["files"][FEATURES])
    print(f"wrote {arguments.bundle / FEATURES}: {record}")


if __name__ == "__main__":
    run_command(main)
