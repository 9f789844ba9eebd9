"""The modulation of blocks that share one, as a site.

PixArt and Wan compute one AdaLN modulation for all blocks; each adds a table of its own to it. That
sum, shifts, scales and residual gates, is then no module's output, and could not be recorded. Here
the table is a module that makes the sum: the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


class ModulationTable(nn.Module):
    """A block's table [6, D] or [1, 6, D]; of the shared modulation [B, 6, D] it makes the block's own."""

    def __init__(self, table: nn.Parameter) -> None:
        super().__init__()
        self.table = table

    def __getitem__(self, _index: None) -> ModulationTable:
        """diffusers' blocks write `table[None] + shared` or `table + shared`."""
        return self

    def __add__(self, shared: Tensor) -> Tensor:
        return self(shared)

    def forward(self, shared: Tensor) -> Tensor:
        return (self.table if self.table.dim() == 3 else self.table[None]) + shared


def record_modulations(blocks: Iterable[nn.Module]) -> None:
    """Replace the `scale_shift_table` of each block."""
    for block in blocks:
        table = block.scale_shift_table
        # A parameter's name takes no module.
        del block.scale_shift_table
        block.scale_shift_table = ModulationTable(table)
