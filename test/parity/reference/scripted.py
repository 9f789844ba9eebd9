"""Scripted modules (torch.jit.script): what a trace never has, and reference results for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """One residual block of a DiT-like model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.gate = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        gate1, gate2 = self.gate(F.silu(c)).unsqueeze(1).chunk(2, dim=2)
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=2)
        x = x + gate1 * F.scaled_dot_product_attention(q, k, v)
        return x + gate2 * self.mlp(x)


class Branching(nn.Module):
    """A block with a prim::If on a value known at run time only, another block inside it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = Block(width)
        self.other = nn.Linear(width, width)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        if bool(c.mean() > 0):
            x = self.inner(x, c)
        else:
            x = x + torch.tanh(self.other(x))
        return x


class Scripted(nn.Module):
    """Blocks of one class in a loop that TorchScript unrolls."""

    def __init__(self, branching: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        width = 16
        self.embed = nn.Linear(3, width)
        self.condition = nn.Embedding(5, width)
        kinds = [Block, Branching if branching else Block, Block]
        self.blocks = nn.ModuleList([kind(width) for kind in kinds])
        self.out = nn.Linear(width, 3)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
        # With the first the program takes one way, with the other the other.
        self.condition.weight.data[1] += 1
        self.condition.weight.data[3] -= 2
        self.eval().requires_grad_(False)

    def forward(self, sample: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        x = self.embed(sample.flatten(2).transpose(1, 2))
        c = self.condition(label) + timestep.unsqueeze(1)
        for block in self.blocks:
            x = block(x, c)
        return self.out(x).transpose(1, 2).reshape(sample.shape)

    def reference(self, options: dict, tensors: dict[str, Tensor]) -> Tensor:
        """options: {"zero": {path: channels}}: outputs zeroed by forward hooks; {"weights": [...],
        "branches": [zero, ...], "steps": n}: x <- x + sum(w_b D_b(x)) / n, n times."""
        if "branches" not in options:
            return self.zeroed(options.get("zero", {}), tensors)
        # One image after the other, as the native loop samples: the branch depends on the batch.
        rows = [{name: value[i : i + 1] for name, value in tensors.items()} for i in range(2)]
        return torch.cat([self.sampled(options, row) for row in rows])

    def sampled(self, options: dict, tensors: dict[str, Tensor]) -> Tensor:
        x = tensors["sample"]
        for step in range(options["steps"]):
            given = {**tensors, "sample": x, "timestep": tensors["timestep"] * 0 + 1 / (step + 1)}
            parts = [self.zeroed(zero, given) for zero in options["branches"]]
            guided = sum(w * part for w, part in zip(options["weights"], parts, strict=True))
            x = x + guided / options["steps"]
        return x

    def zeroed(self, zero: dict[str, list[int]], tensors: dict[str, Tensor]) -> Tensor:
        handles = []
        for path, channels in zero.items():
            mask = torch.ones(16)
            mask[channels] = 0
            module = self.get_submodule(path)
            handles.append(
                module.register_forward_hook(lambda m, i, output, mask=mask: output * mask)
            )
        result = self(tensors["sample"], tensors["timestep"], tensors["label"])
        for handle in handles:
            handle.remove()
        return result


class Endless(Scripted):
    """For class 4 it never comes to its end."""

    def forward(self, sample: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        x = self.embed(sample.flatten(2).transpose(1, 2))
        c = self.condition(label) + timestep.unsqueeze(1)
        while bool(label[0] == 4):
            x = x + 1
        for block in self.blocks:
            x = block(x, c)
        return self.out(x).transpose(1, 2).reshape(sample.shape)


class Convolutional(nn.Module):
    """No transformer: nothing in it is a block."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, label: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(sample) + timestep.view(-1, 1, 1, 1)))


MODULES = {
    "scripted": Scripted,
    "branching": lambda: Scripted(branching=True),
    "endless": Endless,
    "convolutional": Convolutional,
}
