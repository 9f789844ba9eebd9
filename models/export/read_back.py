"""Whether a TorchScript file that was written holds what was traced.

Its weights are compared with the source's by their checksums, and its program with the module's by
running both on stand-ins for the weights: together that is its value, to the last bit of the weights,
without the source in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.export.errors import ExportError
from models.export.weights import weights_of


def checksum(tensor: Tensor) -> str:
    """Of its values and its dtype."""
    values = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{tensor.dtype} {list(tensor.shape)} {hashlib.sha256(values).hexdigest()}"


def read_back(
    path: Path,
    name: str,
    *,
    checksums: Mapping[str, str],
    run_on_stand_ins: Callable[[torch.jit.ScriptModule], None],
) -> None:
    """Raise EXPORT_FAILED unless the file is read, has these weights, and computes as it should.

    name: for messages; checksums: of every weight by its path; run_on_stand_ins: puts stand-ins in the
    place of the weights, runs the file and raises when what it gives is wrong.
    """
    try:
        traced = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ExportError(
            "EXPORT_FAILED",
            f"{name} was written and cannot be read again: {first_lines(error)}",
            received=first_lines(error),
            expected="a TorchScript file",
        ) from error
    found = {place: checksum(tensor) for place, tensor in weights_of(traced).items()}
    wrong = sorted(
        place
        for place in checksums.keys() | found.keys()
        if checksums.get(place) != found.get(place)
    )
    if wrong:
        raise ExportError(
            "EXPORT_FAILED",
            f"{name} was written with other weights than the source has: {', '.join(wrong[:5])}.",
            received=wrong,
            expected="the weights of the source",
        )
    run_on_stand_ins(traced)


def first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:3])


def refuse_not_finite(weights: Mapping[str, Tensor], name: str) -> None:
    """Raise CHECKPOINT_DAMAGED for weights that are no numbers."""
    wrong = [
        (place, tensor)
        for place, tensor in weights.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if not wrong:
        return
    place, tensor = wrong[0]
    dtype = str(tensor.dtype).removeprefix("torch.")
    more = f", as {len(wrong) - 1} more have" if len(wrong) > 1 else ""
    why = "; it may overflow there" if dtype == "float16" else ""
    raise ExportError(
        "CHECKPOINT_DAMAGED",
        f"{name}: {place} has values that are not finite in {dtype}{more}{why}.",
        received=[each for each, _ in wrong],
        expected="finite weights" + (", or --dtype bfloat16" if dtype == "float16" else ""),
    )


def values_of(module: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a module gives, always as a tuple."""
    output = module(*inputs)
    return tuple(output) if isinstance(output, (tuple, list)) else (output,)
