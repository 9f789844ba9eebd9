"""A single file in the layout in which the model was published, which diffusers converts."""

from __future__ import annotations

import pipelines
import torch
from published_layout import published_sd3
from safetensors.torch import load_file, save_file

from models.export.run import export
from models.export.source import open_source


def test_a_file_in_the_published_layout_becomes_the_same_transformer(tmp_path):
    folder = pipelines.save("sd3", tmp_path / "checkpoint", "sd3")
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    save_file(published_sd3(weights, layers=4), tmp_path / "tuned.safetensors")
    path.unlink()
    export(open_source(str(tmp_path / "tuned.safetensors"), config=folder), tmp_path / "b")
    traced = torch.jit.load(str(tmp_path / "b" / "transformer.pt")).state_dict()
    assert len(traced) >= len(weights) - 1
    for name, tensor in weights.items():
        assert torch.equal(traced[f"transformer.{name}"], tensor)
