"""An export takes about the memory of its largest component: no float32 copy, no second copy to look at it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pipelines
import pytest
import torch
from diffusers import DiTTransformer2DModel
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
# What else is there at the peak: a layer in float32 while it is evaluated, a record while it is copied.
ALLOWED = 1.6

MEASURED = """
import sys
from pathlib import Path
import diffusers, transformers, torch
from models.export.__main__ import main

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024

# Classes of models are imported when they are first asked for.
diffusers.DiTTransformer2DModel, diffusers.AutoencoderKL
from models.export import run
before = status("VmRSS")
assert main() == 0
print(status("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """DiT with 97 million weights in bfloat16: far more than what the libraries take while they work."""
    folder = pipelines.save("dit", tmp_path_factory.mktemp("dit") / "checkpoint")
    with torch.device("meta"):
        model = DiTTransformer2DModel(
            num_attention_heads=16,
            attention_head_dim=72,
            in_channels=4,
            out_channels=8,
            num_layers=4,
            sample_size=16,
            num_embeds_ada_norm=1000,
        )
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(str(folder / "transformer"))
    return folder


def peak_of(source: Path, out: Path) -> int:
    """Bytes that the process grew by at the most."""
    command = [sys.executable, "-c", MEASURED, "--from", str(source), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize("stored", ["bfloat16", "float8_e4m3fn"])
def test_the_peak_of_memory_is_near_the_size_of_the_weights(large, tmp_path, stored):
    path = large / "transformer" / "diffusion_pytorch_model.safetensors"
    if stored != "bfloat16":
        weights = {
            name: value.to(getattr(torch, stored)) for name, value in load_file(path).items()
        }
        save_file(weights, path, {"format": "pt"})
    peak = peak_of(large, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert manifest["transformer"]["dtype"] == "bfloat16"
    written = manifest["files"]["transformer.pt"]["bytes"]
    assert written > 150e6
    assert peak < ALLOWED * written
