"""Disruptions of hidden states by PyTorch's own forward hooks.

An edit has the form of the native seam's (lib/native/edits.ts), but its path names one module and its
arithmetic is written here anew: masks and loops where the native code gathers and scatters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from architectures import Subject
from torch import Tensor, nn

Edit = dict[str, Any]
Kernel = Callable[..., Tensor]


def chosen(hidden: Tensor, edit: Edit) -> Tensor:
    """bool [tokens, channels]: what the edit touches."""
    tokens, channels = hidden.shape[-2:]
    rows = torch.zeros(tokens, 1, dtype=torch.bool)
    columns = torch.zeros(1, channels, dtype=torch.bool)
    rows[slice(None) if edit.get("tokens") is None else edit["tokens"]] = True
    columns[:, slice(None) if edit.get("channels") is None else edit["channels"]] = True
    return rows & columns


def retain(hidden: Tensor, edit: Edit, step: int) -> Tensor:
    retention = edit.get("retention") or [0.0]
    return hidden * (retention[step] if len(retention) > 1 else retention[0])


def mean(hidden: Tensor) -> Tensor:
    return hidden.mean(-2, keepdim=True).expand_as(hidden)


def affine(hidden: Tensor, edit: Edit) -> Tensor:
    result = hidden.clone()
    channels = edit.get("channels")
    for position, channel in enumerate(channels or range(hidden.shape[-1])):
        if edit.get("scale"):
            result[..., channel] = result[..., channel] * edit["scale"][position]
        if edit.get("shift"):
            result[..., channel] = result[..., channel] + edit["shift"][position]
    return result


def shuffle(hidden: Tensor, edit: Edit, step: int) -> Tensor:
    """The chosen tokens change places; another permutation in every step, the native rule's."""
    tokens = edit.get("tokens")
    tokens = list(range(hidden.shape[-2])) if tokens is None else tokens
    seed = (edit.get("seed", 0) + 0x9E3779B97F4A7C15 * step) % 2**64
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
    result = hidden.clone()
    for position, source in enumerate(order.tolist()):
        result[..., tokens[position], :] = hidden[..., tokens[source], :]
    return result


def blur(hidden: Tensor, edit: Edit, first: int) -> Tensor:
    """Gaussian blur of the grid of tokens that begins at `first`; weights add up to 1."""
    rows, columns = edit["grid"]
    sigma = edit.get("sigma")
    sigma = math.inf if sigma is None else sigma
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    place = torch.stack([y.flatten(), x.flatten()], 1).double()
    distance = (place[:, None] - place[None]).square().sum(-1)
    weights = torch.exp(-distance / (2 * sigma**2))
    weights = weights / weights.sum(1, keepdim=True)
    last = first + rows * columns
    result = hidden.clone()
    result[..., first:last, :] = (weights @ hidden[..., first:last, :].double()).float()
    return result


def match(hidden: Tensor, edit: Edit, step: int) -> Tensor:
    """The chosen channels shrink by as much, at each token, as retaining ρ of the reference moves it."""
    reference = hidden[..., edit["reference"]]
    target = (reference - retain(reference, edit, step)).norm(dim=-1, keepdim=True)
    norm = hidden[..., edit["channels"]].norm(dim=-1, keepdim=True)
    return hidden * (1 - target / norm)


def change(subject: Subject, hidden: Tensor, given: Tensor | None, edit: Edit, step: int) -> Tensor:
    """The hidden state after the edit. `given`: what a skipped module was given."""
    operation = edit["operation"]
    if operation == "retain":
        changed = retain(hidden, edit, step)
    elif operation == "mean":
        changed = mean(hidden)
    elif operation == "affine":
        changed = affine(hidden, edit)
    elif operation == "transplant":
        changed = edit["source"].expand_as(hidden)
    elif operation == "shuffle":
        changed = shuffle(hidden, edit, step)
    elif operation == "match":
        changed = match(hidden, edit, step)
    elif operation == "blur":
        image_tokens = edit["grid"][0] * edit["grid"][1]
        first = 0 if subject.image_first else hidden.shape[-2] - image_tokens
        changed = blur(hidden, edit, first)
    elif operation in ("skip", "identity"):
        changed = given
    else:
        raise ValueError(f"unknown operation {operation!r}")
    where = chosen(hidden, edit)
    if edit.get("image_only"):
        rows, columns = subject.grid
        image = torch.zeros(hidden.shape[-2], 1, dtype=torch.bool)
        image[slice(0, rows * columns) if subject.image_first else slice(-rows * columns, None)] = (
            True
        )
        where = where & image
    return torch.where(where, changed, hidden)


def stream_index(subject: Subject, path: str, stream: str | None) -> int | None:
    """Which element of the eager block's tuple carries the stream; None: it returns a tensor."""
    if path not in subject.layers or len(subject.streams) == 1:
        return None
    return subject.streams.index(stream or "image")


def argument(subject: Subject, module: nn.Module, args: Sequence, kwargs: dict, edit: Edit) -> Any:
    """What the module was given in place of what the edit disrupts."""
    index = stream_index(subject, edit["path"], edit.get("stream")) or 0
    if edit["path"] not in subject.layers:
        return args[0] if args else next(iter(kwargs.values()))
    name = subject.stream_arguments[index]
    if name in kwargs:
        return kwargs[name]
    # Flux and SD3 give their blocks keywords; a DiT's block has its hidden state first.
    return args[0]


def hook_output(subject: Subject, module: nn.Module, edit: Edit, step: int):
    index = stream_index(subject, edit["path"], edit.get("stream"))

    def hook(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        skips = edit["operation"] == "skip"
        given = argument(subject, module, args, kwargs, edit) if skips else None
        if index is None:
            return change(subject, output, given, edit, step)
        elements = list(output)
        elements[index] = change(subject, elements[index], given, edit, step)
        return tuple(elements)

    return module.register_forward_hook(hook, with_kwargs=True)


def hook_input(subject: Subject, module: nn.Module, edit: Edit, step: int):
    def hook(_module: nn.Module, args: Any) -> Any:
        return (change(subject, args[0], None, edit, step), *args[1:])

    return module.register_forward_pre_hook(hook)


@contextmanager
def attention_replaced(module: nn.Module, wrap: Callable[[Kernel], Kernel]) -> Iterator[None]:
    """While `module` runs, F.scaled_dot_product_attention is `wrap` of itself."""
    original: list[Kernel] = []

    def enter(*_: Any) -> None:
        original.append(F.scaled_dot_product_attention)
        F.scaled_dot_product_attention = wrap(original[-1])

    def leave(*_: Any) -> None:
        F.scaled_dot_product_attention = original.pop()

    handles = [
        module.register_forward_pre_hook(enter),
        # The last to replace it is the first to put it back.
        module.register_forward_hook(leave, prepend=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if original:
            F.scaled_dot_product_attention = original[0]


def attention_edit(subject: Subject, edit: Edit, step: int) -> Callable[[Kernel], Kernel]:
    # A blur of the attention is one of its queries (SEG).
    tap = "query" if edit["operation"] == "blur" else edit["tap"]

    def wrap(kernel: Kernel) -> Kernel:
        def attend(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if tap == "query":
                query = change(subject, query, None, edit, step)
            if tap == "value":
                value = change(subject, value, None, edit, step)
            attended = kernel(query, key, value, *args, **kwargs)
            if tap == "attention":
                attended = change(subject, attended, value, edit, step)
            return attended

        return attend

    return wrap


@contextmanager
def edited(subject: Subject, edits: Sequence[Edit], step: int = 0) -> Iterator[None]:
    """Within, the model is disrupted by the edits, in their order."""
    with ExitStack() as stack:
        for edit in edits:
            module = subject.module.get_submodule(edit["path"])
            tap = edit.get("tap", "output")
            if tap == "output":
                handle = hook_output(subject, module, edit, step)
                stack.callback(handle.remove)
            elif tap == "input":
                handle = hook_input(subject, module, edit, step)
                stack.callback(handle.remove)
            else:
                wrap = attention_edit(subject, edit, step)
                stack.enter_context(attention_replaced(module, wrap))
        yield


@contextmanager
def captured(
    subject: Subject, wanted: Sequence[dict[str, Any]], into: dict[str, Tensor]
) -> Iterator[None]:
    """Within, every {"path", "tap", "stream"} is kept as `capture.<its position>`, and the attention
    mass on each key token of an attention as `mass.<its position>`."""
    with ExitStack() as stack:
        for position, each in enumerate(wanted):
            name = f"capture.{position}"
            module = subject.module.get_submodule(each["path"])
            tap = each.get("tap", "output")
            if tap == "output":
                index = stream_index(subject, each["path"], each.get("stream"))

                def keep(_m: Any, _i: Any, output: Any, name: str = name, index=index) -> None:
                    into[name] = (output if index is None else output[index]).clone()

                stack.callback(module.register_forward_hook(keep).remove)
            elif tap == "input":

                def keep_input(_m: Any, args: Any, name: str = name) -> None:
                    into[name] = args[0].clone()

                stack.callback(module.register_forward_pre_hook(keep_input).remove)
            else:

                def watch(kernel: Kernel, name: str = name, tap: str = tap) -> Kernel:
                    def attend(query: Tensor, key: Tensor, value: Tensor, *a: Any, **k: Any):
                        attended = kernel(query, key, value, *a, **k)
                        seen = {"query": query, "value": value, "attention": attended}
                        into[name] = seen[tap].clone()
                        if tap == "attention":
                            scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
                            mass = scores.softmax(-1).mean((1, 2))
                            into[name.replace("capture", "mass")] = mass
                        return attended

                    return attend

                stack.enter_context(attention_replaced(module, watch))
        yield
