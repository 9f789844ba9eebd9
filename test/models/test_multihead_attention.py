"""Modules of torch.nn with a fast path of their own: they are exported as what any model has."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.export.trace import Traceable, write_trace
from models.operators import allowed_operators, uses

WIDTH = 32


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        normed = self.norm(hidden)
        return hidden + self.attention(normed, normed, normed, need_weights=False)[0]


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 64, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


@pytest.mark.parametrize("make", [Attention, encoder])
def test_fast_paths_are_not_traced(make, tmp_path):
    torch.manual_seed(0)
    module = make().eval()
    example, other = torch.randn(2, 9, WIDTH), torch.randn(3, 5, WIDTH)
    with torch.no_grad():
        wanted = module(other)
        write_trace(Traceable(module, [example], [[other]]), tmp_path / "m.pt")
        found = torch.jit.load(str(tmp_path / "m.pt"))(other)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert set(uses([tmp_path / "m.pt"])) - allowed_operators() == set()
    assert torch.backends.mha.get_fastpath_enabled()
