"""Make `models` importable wherever pytest was started, and give every test a small model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "parity" / "reference")]

from models.diffusion_transformer import PRESETS, DiffusionTransformer  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    # TorchScript is in maintenance since PyTorch 2.11; it is what the native loader reads.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors: more threads only wait for each other, and one gives the same bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> DiffusionTransformer:
    """A tiny DiT (width 64, 3 blocks) whose every weight is random: no branch of it is silent."""
    torch.manual_seed(0)
    model = DiffusionTransformer(PRESETS["tiny"]).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.05)
    return model


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three rows of forward()'s inputs; the last one has the null class."""
    torch.manual_seed(1)
    return torch.randn(3, 1, 28, 28), torch.tensor([1.0, 0.5, 0.01]), torch.tensor([0, 9, 10])
