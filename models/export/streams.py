"""Which element of a traced block's output carries which stream.

`torch.jit.trace` does not keep the order of a tuple that a module returns: its elements become
those values that are used outside the module, in the order of their first use there. Flux's blocks
return (text, image); in its trace all but some return (image, text), and the last one of a stack
may leave one out. What the trace returns is found here by running it and comparing values.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map


class StreamsUnknown(RuntimeError):
    """A traced block returns a tensor, of that shape, that is none of those that the module's block returns."""

    def __init__(self, message: str, shape: torch.Size) -> None:
        super().__init__(message)
        self.shape = shape


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors of a (nested) tuple, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for element in value for tensor in tensors_in(element)]
    return []


def matches(pattern: str, path: str) -> bool:
    """`*` stands for one component of the path, as in bundle.json."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.]+"), path) is not None


def receiver(node: torch._C.Node) -> str:
    """The path, relative to the graph's own module, of the module whose method a node calls."""
    names: list[str] = []
    getter = next(node.inputs()).node()
    while getter.kind() == "prim::GetAttr":
        names.append(getter.s("name"))
        getter = next(getter.inputs()).node()
    return ".".join(reversed(names))


def observe(
    module: torch.jit.ScriptModule, arguments: Sequence[Any], calls: Sequence[int]
) -> list[tuple[list[Any], Any]]:
    """What the calls of those indices are given and what they return, in one run of `module`."""
    graph = module.graph.copy()
    nodes = graph.findAllNodes("prim::CallMethod", recurse=False)
    given = [list(nodes[call].inputs())[1:] for call in calls]
    # A function returns one value.
    values = [
        value
        for call, inputs in zip(calls, given, strict=True)
        for value in (*inputs, nodes[call].output())
    ]
    while list(graph.outputs()):
        graph.eraseOutput(0)
    together = graph.appendNode(graph.create("prim::TupleConstruct", values, 1)).output()
    together.setType(torch._C.TupleType([value.type() for value in values]))
    graph.registerOutput(together)
    torch._C._jit_pass_dce(graph)
    results = iter(torch._C._create_function_from_graph("observe", graph)(module, *arguments))
    return [([next(results) for _ in inputs], next(results)) for inputs in given]


def traced_outputs(
    traced: torch.jit.ScriptModule, arguments: Sequence[Any], wanted: Sequence[str], path: str = ""
) -> Iterator[tuple[str, list[Tensor]]]:
    """(path, returned tensors) for every called submodule that one of the patterns names."""
    nodes = traced.graph.findAllNodes("prim::CallMethod", recurse=False)
    calls: dict[int, str] = {}
    for index, node in enumerate(nodes):
        name = receiver(node)
        if node.s("name") != "forward" or not name:
            continue
        full = f"{path}.{name}" if path else name
        found = any(matches(pattern, full) for pattern in wanted)
        deeper = any(matches_beginning(pattern, full) for pattern in wanted)
        if found or deeper:
            calls[index] = name
    if not calls:
        return
    for name, (given, output) in zip(
        calls.values(), observe(traced, arguments, list(calls)), strict=True
    ):
        full = f"{path}.{name}" if path else name
        if any(matches(pattern, full) for pattern in wanted):
            yield full, tensors_in(output)
        else:
            child = functools.reduce(getattr, name.split("."), traced)
            yield from traced_outputs(child, given, wanted, full)


def matches_beginning(pattern: str, path: str) -> bool:
    """Whether a submodule of `path` can match the pattern."""
    parts = pattern.split(".")
    depth = path.count(".") + 1
    return depth < len(parts) and matches(".".join(parts[:depth]), path)


@contextmanager
def copies_of_arguments(
    module: nn.Module, blocks: Sequence[Mapping[str, Any]], shape: torch.Size
) -> Iterator[None]:
    """Every block gets copies of its own of the tensors of that shape."""

    def copied(value: Any) -> Any:
        return value.clone() if isinstance(value, Tensor) and value.shape == shape else value

    def hook(
        _block: nn.Module, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[tuple, dict[str, Any]]:
        return tree_map(copied, args), tree_map(copied, kwargs)

    patterns = [block["path"] for block in blocks]
    handles = [
        each.register_forward_pre_hook(hook, with_kwargs=True)
        for path, each in module.named_modules()
        if any(matches(pattern, path) for pattern in patterns)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def eager_outputs(
    module: nn.Module, arguments: Sequence[Any], wanted: Sequence[str]
) -> dict[str, list[Tensor | None]]:
    """What every block returns, by path, in its own order; an element of None stays one."""
    found: dict[str, list[Tensor | None]] = {}

    def keep(path: str):
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            elements = output if isinstance(output, (tuple, list)) else (output,)
            found[path] = list(elements)

        return hook

    handles = [
        each.register_forward_hook(keep(path))
        for path, each in module.named_modules()
        if any(matches(pattern, path) for pattern in wanted)
    ]
    try:
        module(*arguments)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.inference_mode()
def traced_streams(
    module: nn.Module,
    traced: torch.jit.ScriptModule,
    example_inputs: Sequence[Tensor],
    blocks: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """bundle.json's `blocks` for a trace of `module`.

    blocks: [{"path": "transformer_blocks.*", "streams": ["text", "image"]}, ...] in the order in
    which the *module's* blocks return their streams. The result names them in the order in which
    the *trace* returns them: one entry a container where all its blocks agree, else one a block.
    Raises StreamsUnknown when a traced block returns something else than the module's does.
    """
    patterns = [block["path"] for block in blocks]
    expected = eager_outputs(module, example_inputs, patterns)
    orders: dict[str, list[str]] = {}
    for path, tensors in traced_outputs(traced, example_inputs, patterns):
        names = next(block["streams"] for block in blocks if matches(block["path"], path))
        named = list(zip(names, expected[path], strict=False))
        orders[path] = [stream_of(tensor, named, path) for tensor in tensors]
    result: list[dict[str, Any]] = []
    for block in blocks:
        own = {path: order for path, order in orders.items() if matches(block["path"], path)}
        distinct = {tuple(order) for order in own.values()}
        if len(distinct) <= 1:
            order = next(iter(distinct), tuple(block["streams"]))
            result.append({"path": block["path"], "streams": list(order)})
        else:
            result += [{"path": path, "streams": order} for path, order in own.items()]
    return result


def stream_of(tensor: Tensor, named: Sequence[tuple[str, Tensor | None]], path: str) -> str:
    """The name of the eager output that `tensor` is, up to rounding."""
    distances = {
        name: (other - tensor).abs().max().item() / max(other.abs().max().item(), 1e-30)
        for name, other in named
        if other is not None and other.shape == tensor.shape
    }
    name = min(distances, key=lambda each: distances[each], default=None)
    if name is None or not distances[name] < 1e-3:
        raise StreamsUnknown(
            f"the traced block {path} returns a tensor of shape {list(tensor.shape)} that none of "
            f"the block's own outputs ({', '.join(each for each, _ in named)}) equals",
            tensor.shape,
        )
    return name
