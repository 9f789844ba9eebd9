"""The streams of traced blocks: the trace's own order, found by value."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.export.bundle import write_bundle
from models.export.streams import StreamsUnknown, traced_streams


class JointBlock(nn.Module):
    """Returns (text, image), as diffusers' blocks do; the image alone when `last`."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(8, 8), nn.Linear(8, 8)
        self.last = last

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor | None, Tensor]:
        mean = text.mean(1, keepdim=True)
        text = text + self.text(text) * image.mean(1, keepdim=True)
        image = image + self.image(image) * mean
        return (None if self.last else text), image


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([JointBlock(False), JointBlock(False), JointBlock(True)])

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        for block in self.blocks:
            text, image = block(image, text)
        return image


class Wrapped(nn.Module):
    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.inner = transformer

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.inner(image, text) * 2


EXAMPLES = (torch.randn(2, 5, 8), torch.randn(2, 3, 8))
TEXT_THEN_IMAGE = [{"path": "inner.blocks.*", "streams": ["text", "image"]}]


def streams_by_path(entries: list[dict]) -> dict[str, list[str]]:
    return {entry["path"]: entry["streams"] for entry in entries}


def test_each_block_has_the_streams_that_its_trace_returns():
    module = Wrapped(Transformer()).eval()
    traced = torch.jit.trace(module, EXAMPLES)
    found = streams_by_path(traced_streams(module, traced, EXAMPLES, TEXT_THEN_IMAGE))
    # That the order is right is what the parity tests of captures show.
    assert {path: sorted(streams) for path, streams in found.items()} == {
        "inner.blocks.0": ["image", "text"],
        "inner.blocks.1": ["image", "text"],
        "inner.blocks.2": ["image"],
    }


def test_equal_numbers_of_tokens_are_told_apart_by_value():
    module = Wrapped(Transformer()).eval()
    same = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    other = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    found = [
        traced_streams(module, torch.jit.trace(module, each), each, TEXT_THEN_IMAGE)
        for each in (same, other)
    ]
    assert found[0] == found[1]


class Leaky(nn.Module):
    """Something made inside the block is used outside it: the trace returns it as well."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity()])
        self.blocks[0] = self.Block()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, image: Tensor) -> Tensor:
            self.kept = torch.tanh(self.linear(image))
            return image + self.kept

    def forward(self, image: Tensor) -> Tensor:
        return self.blocks[0](image) * self.blocks[0].kept


def test_an_output_that_is_no_stream_is_refused():
    module = Leaky().eval()
    traced = torch.jit.trace(module, EXAMPLES[:1], check_trace=False)
    with pytest.raises(StreamsUnknown, match="blocks.0 returns a tensor"):
        traced_streams(module, traced, EXAMPLES[:1], [{"path": "blocks.*", "streams": ["image"]}])


def test_the_manifest_has_the_order_of_the_trace_and_inputs_may_be_unbatched(tmp_path):
    class Shifted(Wrapped):
        def forward(self, image: Tensor, text: Tensor, shift: Tensor) -> Tensor:
            return super().forward(image + shift, text)

    module = Shifted(Transformer()).eval()
    inputs = [
        {"name": "sample", "shape": ["batch", 5, 8]},
        {"name": "text", "shape": ["batch", 3, 8]},
        {"name": "shift", "shape": [5, 8]},
    ]
    description = {"name": "joint", "transformer": {"inputs": inputs, "blocks": TEXT_THEN_IMAGE}}
    manifest = write_bundle(module, (*EXAMPLES, torch.randn(5, 8)), description, tmp_path / "joint")
    found = streams_by_path(manifest["transformer"]["blocks"])
    assert {tuple(sorted(streams)) for streams in found.values()} == {("image", "text"), ("image",)}
    assert description["transformer"]["blocks"] is TEXT_THEN_IMAGE
