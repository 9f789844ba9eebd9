"""From a module to a TorchScript file with little memory.

A trace does not depend on the weights, only on their shapes. So the module is traced, and the trace
checked, in float32 with stand-ins for its weights: overlapping views of one short row of random
numbers, which take no memory of their own. Then the real tensors, in the dtype that they are stored
in, take the stand-ins' places and are written one after the other. No second copy of the weights is
made, and a model that was loaded in bfloat16 needs no float32 one.

The trace is a float32 program whatever the dtype of the weights in the file: the native loader
brings activations and weights together (native/core/graph/precision.h).
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.export.bundle import copy_archive
from models.export.errors import ExportError
from models.export.in_float32 import InFloat32
from models.export.portable import PortableOperators
from models.export.read_back import checksum, read_back, refuse_not_finite, values_of
from models.export.readable_names import make_keys_readable, refuse_unreadable
from models.export.streams import StreamsUnknown, copies_of_arguments, traced_streams
from models.export.weights import owner, weights_of

# Rows of a stand-in begin this far from each other in the shared numbers: odd, and no divisor of a
# usual width, so that rows are no copies of each other.
ROW_STRIDE = 13
RELATIVE_TOLERANCE = 1e-4
# More than the code of any trace takes.
PROGRAM_BYTES = 64 << 20


@dataclass
class Traceable:
    """A module with what it takes to trace and to check it.

    example: the inputs of the trace; others: inputs of other batch sizes, resolutions and numbers of
    tokens, for which the trace has to equal the module; blocks: bundle.json's `transformer.blocks`
    with the streams in the order of the module, for a transformer.
    """

    module: nn.Module
    example: Sequence[Tensor]
    others: Sequence[Sequence[Tensor]]
    blocks: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@contextmanager
def plain_attention() -> Iterator[None]:
    """nn.MultiheadAttention and nn.TransformerEncoderLayer by operators that any model has: their fast
    paths are operators of their own, which the loader refuses (docs/operators.md)."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


class StandIns:
    """Weights of any shape as views of one row of random numbers for each scale."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.rows: dict[float, Tensor] = {}
        self.storages: set[int] = set()

    def like(self, name: str, tensor: Tensor) -> Tensor:
        """Of the tensor's shape, float32; activations keep about the size of their inputs."""
        if tensor.dim() < 2:
            noise = 0.1 * torch.randn(tensor.shape, generator=self.generator)
            return 1 + noise if name.endswith("weight") else noise
        fan_in = tensor[0].numel()
        strides = (ROW_STRIDE, *torch.empty(tensor.shape[1:], device="meta").stride())
        length = ROW_STRIDE * (len(tensor) - 1) + fan_in
        return self.row(fan_in**-0.5, length).as_strided(tensor.shape, strides)

    def row(self, scale: float, length: int) -> Tensor:
        if len(self.rows.get(scale, ())) < length:
            self.rows[scale] = torch.randn(length, generator=self.generator) * scale
            self.storages.add(self.rows[scale].untyped_storage().data_ptr())
        return self.rows[scale]


def put_stand_ins(module: nn.Module) -> StandIns:
    """Replace every floating weight by a stand-in; buffers keep their values, in float32."""
    stand_ins = StandIns()
    replaced: dict[int, nn.Parameter] = {}
    for path, parameter in list(module.named_parameters(remove_duplicate=False)):
        if id(parameter) not in replaced:
            value = (
                stand_ins.like(path, parameter)
                if parameter.is_floating_point()
                else parameter.detach()
            )
            replaced[id(parameter)] = nn.Parameter(value, requires_grad=False)
        holder, name = owner(module, path)
        setattr(holder, name, replaced[id(parameter)])
    for path, buffer in list(module.named_buffers(remove_duplicate=False)):
        if buffer.is_floating_point():
            holder, name = owner(module, path)
            holder._buffers[name] = buffer.detach().float()
    return stand_ins


@torch.no_grad()
def write_trace(
    subject: Traceable,
    path: Path,
    report: Callable[[str], None] = lambda state: None,
    values: Path | None = None,
) -> list[dict[str, Any]]:
    """Trace, check, write and read back `subject`; returns its blocks with the streams in the trace's order.

    values: a safetensors file for the inputs of the trace and what the source gives for them in float32,
    `input.0`, …, `output.0`, …. The module's weights are replaced by stand-ins: it cannot be used
    afterwards. Raises ExportError EXPORT_FAILED when the trace is wrong for one of `subject.others`, or
    the file is not read back as it was written; CHECKPOINT_DAMAGED for weights that are not finite.
    """
    module = subject.module.eval()
    name = path.name.removeprefix(".").removesuffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    make_keys_readable(module)
    refuse_unreadable(module, name)
    refuse_not_finite(dict(module.named_parameters()), name)
    real = weights_of(module)
    if values is not None:
        report("evaluating")
        write_values(module, subject.example, values, name)
    stand_ins = put_stand_ins(module)
    report("tracing")
    traced, blocks = trace_with_streams(module, subject)
    report("checking")
    for inputs in subject.others:
        compare(module, traced, inputs, name)
    refuse_baked_weights(traced, stand_ins, name)
    replaced = weights_of(module)
    put_weights(traced, real, name)
    report("writing")
    require_room(path.parent, real)
    raw = path.with_name(f".{path.name}.raw")
    try:
        traced.save(str(raw))
        copy_archive(raw, path)
    finally:
        raw.unlink(missing_ok=True)
    report("reading back")
    checksums = {place: checksum(real[place]) for place in weights_of(traced)}
    # The file's weights take the place of the source's in memory.
    put_weights(traced, replaced, name)
    del traced
    real.clear()

    def run_on_stand_ins(read: torch.jit.ScriptModule) -> None:
        put_weights(read, replaced, name)
        compare(module, read, subject.example, name)

    read_back(path, name, checksums=checksums, run_on_stand_ins=run_on_stand_ins)
    return blocks


def trace(module: nn.Module, example: Sequence[Tensor]) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        # About sizes that become constants: whether they did is checked by value.
        warnings.simplefilter("ignore")
        with plain_attention(), PortableOperators():
            return torch.jit.trace(module, tuple(example), check_trace=False)


def trace_with_streams(
    module: nn.Module, subject: Traceable
) -> tuple[torch.jit.ScriptModule, list[dict[str, Any]]]:
    """The trace, and `subject.blocks` with the streams in its order."""
    traced = trace(module, subject.example)
    if not subject.blocks:
        return traced, []
    try:
        return traced, traced_streams(module, traced, subject.example, subject.blocks)
    except StreamsUnknown as unknown:
        # What several blocks take, and make nothing of but itself (`.float()` of a float32 tensor), a trace
        # has the first one return to the others.
        with copies_of_arguments(module, subject.blocks, unknown.shape):
            traced = trace(module, subject.example)
        return traced, traced_streams(module, traced, subject.example, subject.blocks)


def write_values(module: nn.Module, inputs: Sequence[Tensor], path: Path, name: str) -> None:
    """What the source gives, for whoever opens the file."""
    with InFloat32():
        outputs = values_of(module, inputs)
    if not all(torch.isfinite(output).all() for output in outputs):
        raise ExportError(
            "CHECKPOINT_DAMAGED",
            f"{name}: the module gives values that are not finite for ordinary inputs.",
            expected="a module whose outputs are finite",
        )
    named = {f"input.{index}": value for index, value in enumerate(inputs)}
    named |= {f"output.{index}": value for index, value in enumerate(outputs)}
    save_file({place: value.detach().contiguous().clone() for place, value in named.items()}, path)


def require_room(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Raise OUTPUT_UNWRITABLE unless the archive and its copy without source positions fit: libtorch's
    writer ends the whole process when the disk is full."""
    sizes = {id(tensor): tensor.nbytes for tensor in weights.values()}
    wanted = 2 * sum(sizes.values()) + PROGRAM_BYTES
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ExportError(
            "OUTPUT_UNWRITABLE",
            f"{folder} has {free / 1e9:.1f} GB left, and {wanted / 1e9:.1f} GB are needed to write this "
            "component. What is finished is kept for the next attempt.",
            received=free,
            expected=f"{wanted} bytes",
        )


def compare(module: nn.Module, traced: Any, inputs: Sequence[Tensor], name: str) -> None:
    """Raise EXPORT_FAILED unless the trace gives what the module gives."""
    shapes = [list(tensor.shape) for tensor in inputs]
    expected = values_of(module, inputs)
    try:
        found = values_of(traced, inputs)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise constant_size(name, shapes, f"it fails there: {reason}") from error
    for one, other in zip(expected, found, strict=True):
        if one.shape != other.shape:
            raise constant_size(
                name, shapes, f"it gives {list(other.shape)}, not {list(one.shape)}"
            )
        scale = max(one.abs().max().item(), 1e-6)
        difference = (one - other).abs().max().item() / scale
        if not difference <= RELATIVE_TOLERANCE:
            raise constant_size(
                name, shapes, f"it differs by {difference:.1e} of the largest value"
            )


def constant_size(name: str, shapes: list[list[int]], what: str) -> ExportError:
    return ExportError(
        "EXPORT_FAILED",
        f"The trace of {name} is wrong for inputs of the shapes {shapes}: {what}. forward() must not "
        "turn a size into a constant.",
        received=shapes,
        expected="a module whose forward() works on tensors and their sizes alone",
    )


def refuse_baked_weights(traced: torch.jit.ScriptModule, stand_ins: StandIns, name: str) -> None:
    """A weight that is no parameter of a module would have become a constant, a stand-in for ever."""
    for submodule in traced.modules():
        if "forward" not in submodule._c._method_names():
            continue
        for node in submodule.graph.findAllNodes("prim::Constant"):
            if "value" not in node.attributeNames() or node.kindOf("value") != "t":
                continue
            if node.t("value").untyped_storage().data_ptr() in stand_ins.storages:
                raise ExportError(
                    "EXPORT_FAILED",
                    f"The trace of {name} has a weight as a constant: it was computed from a parameter "
                    "outside forward(). Expected a module that reads its parameters in forward().",
                )


def put_weights(traced: Any, real: Mapping[str, Tensor], name: str) -> None:
    """Give the trace the checkpoint's tensors in place of the stand-ins."""
    present = weights_of(traced).keys()
    unknown = present - real.keys()
    if unknown:
        raise ExportError(
            "EXPORT_FAILED", f"The trace of {name} has weights that the module lacks: {unknown}."
        )
    for path in present:
        holder, attribute = owner(traced, path)
        holder._c.setattr(attribute, real[path])
