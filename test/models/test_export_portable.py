"""What a module may do that a model file may not: replaced while it is traced, with the same values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.export.errors import ExportError
from models.export.trace import Traceable, write_trace

FLAGS = {
    "masked_fill": lambda flags, x: flags.masked_fill(x > 0, True),
    "masked_fill_": lambda flags, x: flags.clone().masked_fill_(x > 0, value=True),
    "fill_": lambda flags, x: flags | torch.zeros_like(flags).fill_(True),
    "full": lambda flags, x: flags ^ torch.full((3, 4), True),
    "full_like": lambda flags, x: flags ^ torch.full_like(flags, True),
    "new_full": lambda flags, x: flags ^ x.new_full((3, 4), True, dtype=torch.bool),
    "where": lambda flags, x: torch.where(x > 0, True, flags),
    "eq": lambda flags, x: flags == False,  # noqa: E712
    "add of flags": lambda flags, x: flags + True,
}
NUMBERS = {
    "masked_fill of numbers": lambda flags, x: x.masked_fill(flags, False),
    "full of numbers": lambda flags, x: torch.full((3, 4), 0.5, requires_grad=False) * x,
    "add": lambda flags, x: x + True,
    "mul": lambda flags, x: True * x,
}
MADE = {
    "empty": lambda x: torch.empty(3, 4),
    "empty_like": lambda x: torch.empty_like(x),
    "new_empty": lambda x: x.new_empty((3, 4)),
}


class Of(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x))


def read_back(module: nn.Module, x: Tensor, path) -> tuple[torch.jit.ScriptModule, Tensor]:
    """The file, and what the module gives; its weights are stand-ins afterwards."""
    expected = module(x)
    write_trace(Traceable(module, [x], [[x + 1]]), path)
    return torch.jit.load(str(path)), expected


@pytest.mark.parametrize("name", [*FLAGS, *NUMBERS])
def test_flags_are_taken_for_numbers_and_the_dtype_stays(name, tmp_path):
    operation = (FLAGS | NUMBERS)[name]

    def function(x: Tensor) -> Tensor:
        result = operation(x > 0.1, x)
        assert result.dtype == (torch.bool if name in FLAGS else torch.float32)
        return result.float() + x

    x = torch.randn(3, 4)
    traced, expected = read_back(Of(function).eval(), x, tmp_path / "m.pt")
    assert torch.equal(traced(x), expected)


@pytest.mark.parametrize("name", MADE)
def test_memory_that_is_written_in_part_begins_as_zeros(name, tmp_path):
    def function(x: Tensor) -> Tensor:
        result = MADE[name](x)
        result[:, ::2] = x[:, ::2]
        result[:, 1::2] = -x[:, 1::2]
        return result

    x = torch.randn(3, 4)
    traced, expected = read_back(Of(function).eval(), x, tmp_path / "m.pt")
    assert torch.equal(traced(x), expected)
    assert "empty" not in str(traced.inlined_graph)


def test_keys_of_a_module_dict_may_have_any_letters(tmp_path):
    class Keyed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.ModuleDict({"2-1": nn.Linear(4, 4), "größe": nn.Linear(4, 4)})

        def forward(self, x: Tensor) -> Tensor:
            assert "2-1" in self.embed
            return self.embed["2-1"](x) * self.embed["größe"](x)

    x = torch.randn(3, 4)
    traced, expected = read_back(Keyed().eval(), x, tmp_path / "m.pt")
    assert torch.equal(traced(x), expected)
    assert {name for name, _ in traced.embed.named_children()} == {"2_1", "gr__e"}


def test_keys_that_would_become_one_are_refused(tmp_path):
    module = nn.Sequential(nn.Linear(4, 4))
    module.extra = nn.ModuleDict({"2-1": nn.Linear(4, 4), "2_1": nn.Linear(4, 4)})
    with pytest.raises(ExportError, match="the attribute '2-1' has others"):
        write_trace(Traceable(module, [torch.randn(3, 4)], []), tmp_path / "m.pt")


class Modulated(nn.Module):
    """Blocks that take the same modulation and make it float32, which it is: in a trace the first one returns it."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
            return x + self.linear(x) * modulation.float()

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(self.Block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        modulation = self.embed(x).mean(1, keepdim=True)
        for block in self.blocks:
            x = block(x, modulation)
        return x


def test_what_blocks_pass_on_is_no_stream_of_theirs(tmp_path):
    module = Modulated().eval()
    x = torch.randn(2, 3, 4)
    expected = module(x)
    blocks = [{"path": "blocks.*", "streams": ["image"]}]
    subject = Traceable(module, [x], [[torch.randn(5, 3, 4)]], blocks)
    assert write_trace(subject, tmp_path / "m.pt") == blocks
    traced = torch.jit.load(str(tmp_path / "m.pt"))
    assert torch.allclose(traced(x), expected, atol=1e-6)
    assert not any(block._forward_pre_hooks for block in module.blocks)
