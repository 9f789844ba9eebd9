"""The command line of the parity reference, on a tiny bundle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.embed import describe
from models.export.bundle import rounded_copy, write_bundle
from models.guided_sampling import Edit, disrupted
from models.reference import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bundle(tiny, inputs, tmp_path):
    write_bundle(
        tiny, inputs, describe(tiny.config, 0.9, 2, [3, 5], "measured"), tmp_path / "bundle"
    )
    return tmp_path / "bundle"


def named(inputs):
    return dict(zip(("sample", "timestep", "class"), inputs, strict=True))


def test_forward_gives_the_disrupted_prediction_and_hidden_states(bundle, tiny, inputs):
    edit = {"layer": 1, "channels": [3, 5], "tokens": [0]}
    results = run(bundle, named(inputs), {"mode": "forward", "edits": [edit], "capture": [0, 1]})
    model = rounded_copy(tiny, torch.float16)
    with disrupted(model.blocks, [Edit(**edit)]):
        assert torch.equal(results["prediction"], model(*inputs))
    assert results["hidden.0"][:, 0, [3, 5]].abs().min() > 0
    assert results["hidden.1"][:, 0, [3, 5]].abs().max() == 0
    assert results["hidden.1"][:, 1, [3, 5]].abs().min() > 0


def test_sampling_through_the_command_line(bundle, inputs, tmp_path):
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    tensors = {"latents": inputs[0], "class": inputs[2]}
    save_file(tensors, source)
    edit = {"layer": 1, "channels": [3, 5], "retention": [0.0, 0.5, 1.0]}
    branches = [
        {"weight": 2.5},
        {"weight": -1.0, "null": True},
        {"weight": [-0.5, -0.5, 0.0], "edits": [edit]},
    ]
    options = {"mode": "sample", "steps": 3, "branches": branches}
    command = [sys.executable, "-m", "models.reference", "--bundle", bundle]
    command += ["--input", source, "--output", target]
    subprocess.run(command, input=json.dumps(options), text=True, check=True, cwd=ROOT)
    found = load_file(target)["latents"]
    assert torch.equal(found, run(bundle, tensors, options)["latents"])
    assert not torch.equal(found, inputs[0])


def test_an_unknown_mode_is_refused(bundle, inputs):
    with pytest.raises(ValueError, match="forward"):
        run(bundle, named(inputs), {"mode": "inverse"})
