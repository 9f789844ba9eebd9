"""The feature network is the classifier without its last layer, also as a file in the bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import torch

from models.classifier_features import FEATURES, add_features, eager_judge
from models.export.bundle import read_manifest
from models.trained import load_judge

EMBEDDED = Path(__file__).resolve().parents[2] / "models" / "embedded"


def test_its_features_under_the_last_layer_are_the_scores_of_the_classifier():
    torch.manual_seed(0)
    images = torch.rand(5, 1, 28, 28) * 2 - 1
    features = torch.jit.load(str(EMBEDDED / FEATURES)).float()(images)
    assert features.shape == (5, 128)
    assert features.min() == 0
    last = list(eager_judge(EMBEDDED).children())[-1]
    assert torch.allclose(last(features), load_judge(EMBEDDED)(images), atol=1e-4)


def test_it_is_written_into_a_bundle_and_listed_with_its_checksum(tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(EMBEDDED, bundle)
    (bundle / FEATURES).unlink()
    manifest = read_manifest(bundle)
    del manifest["classifier"]["features"], manifest["files"][FEATURES]
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    add_features(bundle)
    found = read_manifest(bundle)
    content = (bundle / FEATURES).read_bytes()
    assert found["classifier"]["features"] == FEATURES
    assert found["files"][FEATURES] == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    # Nothing else changes, and nothing is left beside the bundle's files.
    del found["classifier"]["features"], found["files"][FEATURES]
    assert found == manifest
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        [*manifest["files"], FEATURES, "bundle.json"]
    )
