"""The wrapper around a transformer whose forward() takes and gives tensors alone, in the bundle's order."""

from __future__ import annotations

from torch import nn


class Denoiser(nn.Module):
    """A family's own has a forward()."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
