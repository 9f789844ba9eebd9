"""Whether a module has got all of its weights from a checkpoint, and the checkpoint no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from models.export.errors import ExportError
from models.export.unsupported import is_lora

NAMED = 6


def require_whole(
    module: nn.Module,
    label: str,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    mismatched: Iterable[Any] = (),
) -> None:
    """Raise unless all three are empty.

    missing: names of the module's weights that were not read; unexpected: of the checkpoint's that the
    module does not have; mismatched: (name, shape in the checkpoint, shape in the module).
    """
    mismatched = sorted(mismatched)
    if mismatched:
        name, found, expected = mismatched[0][:3]
        more = f", and so for {len(mismatched) - 1} more" if len(mismatched) > 1 else ""
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"The weights of {label[0].lower()}{label[1:]} do not fit its configuration: {name} has the "
            f"shape {list(found)} in the file, {list(expected)} by config.json{more}.",
            received=[entry[0] for entry in mismatched],
            expected="the config.json that was published with these weights",
        )
    absent = sorted(missing)
    # Some are stored though the module computes them itself.
    computed = {name for name, _ in module.named_buffers()}
    surplus = sorted(
        name for name in unexpected if name not in computed and not name.endswith("position_ids")
    )
    if not absent and not surplus:
        return
    if any(is_lora(name) or ".base_layer." in name for name in surplus):
        raise ExportError(
            "CHECKPOINT_INCOMPLETE",
            f"{label} was saved with a LoRA attached ({listed(surplus)}), so that weights have other "
            "names; call `fuse_lora()` and `unload_lora_weights()` (of peft: `merge_and_unload()`) before "
            "`save_pretrained`.",
            received=surplus,
            expected=absent[0] if absent else "its own weights alone",
        )
    if absent:
        others = f" It has others: {listed(surplus)}." if surplus else ""
        raise ExportError(
            "CHECKPOINT_INCOMPLETE",
            f"{label} lacks weights: {listed(absent)}.{others} Download it again, or save it again.",
            received=absent,
            expected="every weight of " + type(module).__name__,
        )
    raise ExportError(
        "CHECKPOINT_UNSUPPORTED",
        f"{label} has weights that a {type(module).__name__} does not have: {listed(surplus)}. What they "
        "do would be lost.",
        received=surplus,
        expected="the weights of a " + type(module).__name__ + " alone",
    )


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
