"""An adapter: a transformer of one's own as a bundle of detail-guidance.

    python -m models.export --adapter examples/adapter/grating.py --out grating

The model is small and has random weights; what matters is what an adapter says about it. For a
trained one, load its weights in adapter(): `source` is what stands behind --from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.export.adapter import Adapter
from models.export.trace import Traceable

CHANNELS, PATCH, WIDTH, HEADS, LAYERS, SIZE = 3, 2, 32, 4, 4, 16


class Block(nn.Module):
    """Returns the hidden state, [B, N, WIDTH]: its output is where details are disrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.to_qkv, self.to_out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, z: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in self.to_qkv(self.norm1(z)).chunk(3, dim=-1)
        )
        # This function keeps its name in the trace, so that attention can be hooked.
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        z = z + self.to_out(attended.transpose(1, 2).flatten(2))
        return z + self.mlp(self.norm2(z))


class Grating(nn.Module):
    """Latents [B, 3, H, W] and sigma [B] -> the flow, of the latents' shape; any H and W."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(CHANNELS, WIDTH, PATCH, PATCH)
        self.time = nn.Linear(1, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.out = nn.Linear(WIDTH, CHANNELS * PATCH * PATCH)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        # type_as, not .to(dtype): a trace turns a dtype into a constant.
        time = self.time(timestep[:, None].type_as(self.time.weight))
        z = self.embed(sample).flatten(2).transpose(1, 2) + time[:, None]
        for block in self.blocks:
            z = block(z)
        # Sizes are read from the tensors, never with int().
        rows, columns = sample.shape[2] // PATCH, sample.shape[3] // PATCH
        patches = self.out(z).transpose(1, 2).unflatten(2, (rows, columns))
        return nn.functional.pixel_shuffle(patches, PATCH)


def adapter(source: str | None, dtype: torch.dtype) -> Adapter:
    torch.manual_seed(0)
    module = Grating()
    if source is not None:
        module.load_state_dict(torch.load(source, weights_only=True))

    def inputs(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        return torch.randn(batch, CHANNELS, height, width), torch.rand(batch)

    grid = SIZE // PATCH
    return Adapter(
        name="grating",
        licence="MIT",
        transformer=Traceable(
            module,
            example=inputs(2, SIZE, SIZE),
            others=[inputs(3, 8, 12)],
            blocks=[{"path": "blocks.*", "streams": ["image"]}],
        ),
        description={
            "family": "grating",
            "transformer": {
                "inputs": [
                    {
                        "name": "sample",
                        "role": "latent",
                        "dtype": "float",
                        "shape": ["batch", CHANNELS, "height", "width"],
                    },
                    {
                        "name": "timestep",
                        "role": "timestep",
                        "dtype": "float32",
                        "shape": ["batch"],
                    },
                ],
                "outputChannels": CHANNELS,
                "prediction": "flow",
                "tokenGrid": [grid, grid],
                "hiddenChannels": WIDTH,
            },
            "latent": {"channels": CHANNELS, "height": SIZE, "width": SIZE},
            "conditioning": {"kind": "tensors"},
            "scheduler": {"kind": "flow-match-euler", "timestepScale": 1},
            "image": {"kind": "pixels", "range": [-1, 1], "channels": CHANNELS},
        },
    )
