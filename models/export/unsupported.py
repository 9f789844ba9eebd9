"""Kinds of checkpoints that people have and that cannot be exported, each by its name, with the way that works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.export.errors import ExportError
from models.export.weight_file import Entry

PUBLISHED = "export the checkpoint as it was published, in 16 or 32 bits"
# By the beginning of the file.
SIGNATURES = {
    b"GGUF": ("a GGUF file, whose weights are quantised in blocks", PUBLISHED),
    b"\x80": ("a pickled checkpoint, which is a program", "convert"),
    b"PK\x03\x04": ("a pickled checkpoint, which is a program", "convert"),
    b"version https://git-lfs": ("a pointer of Git LFS in place of the file", "run `git lfs pull`"),
}
CONVERT = (
    "read it with torch.load(FILE, weights_only=True), write its tensors with "
    "safetensors.torch.save_file, and export that"
)
# A part of a tensor's name, and what it is a sign of.
LORA = (
    ".lora_a.",
    ".lora_b.",
    ".lora_up.",
    ".lora_down.",
    ".lora.up.",
    ".lora.down.",
    ".hada_w1",
    ".lokr_w1",
)
QUANTISED = {
    ".quant_state.bitsandbytes__nf4": "bitsandbytes' nf4",
    ".quant_state.bitsandbytes__fp4": "bitsandbytes' fp4",
    ".absmax": "bitsandbytes' 4 bits",
    ".SCB": "bitsandbytes' int8",
    ".qweight": "packed integers (GPTQ, AWQ, SVDQuant)",
    ".weight_scale_2": "NVFP4",
    ".weight_scale_inv": "fp8 in blocks",
}
METHODS = {
    "bitsandbytes": "bitsandbytes",
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "torchao": "torchao",
}
DEQUANTISE = (
    f"{PUBLISHED}, or write it out with diffusers: `pipeline.COMPONENT.dequantize()`, then "
    "`save_pretrained`"
)


def unsupported(what: str, way: str, found: Any) -> ExportError:
    return ExportError(
        "CHECKPOINT_UNSUPPORTED",
        f"{what} cannot be exported; {way}.",
        received=found,
        expected="weights in 16 or 32 bits, or fp8, as safetensors or a folder of diffusers",
    )


def refuse_file(path: Path) -> None:
    """Raise CHECKPOINT_UNSUPPORTED for a file that is not safetensors, by what it is."""
    with path.open("rb") as file:
        head = file.read(32)
    for signature, (what, way) in SIGNATURES.items():
        if head.startswith(signature):
            way = CONVERT if way == "convert" else way
            raise unsupported(f"{path.name} is {what}, and", way, path.name)
    if head[8:9] != b"{":
        raise unsupported(f"{path.name} is no safetensors file, and", PUBLISHED, path.name)


def refuse_lora(names: Iterable[str], place: str) -> None:
    """Raise CHECKPOINT_UNSUPPORTED for a file that has changes to weights, and no weights."""
    names = list(names)
    changes = [name for name in names if is_lora(name)]
    # Those are saved with the model, and refused as keys that it does not have.
    attached = any(".base_layer." in name for name in names)
    if changes and not attached:
        raise unsupported(
            f"{place} is a LoRA: changes to the weights of a model, which it does not have, and",
            "load it into its pipeline in diffusers, call `fuse_lora()`, `unload_lora_weights()` and "
            "`save_pretrained`, and export that folder",
            sorted(changes)[:3],
        )


def is_lora(name: str) -> bool:
    return any(part in f".{name.lower()}." for part in LORA)


def refuse_quantised(tensors: Mapping[str, Entry], label: str) -> None:
    """Raise CHECKPOINT_UNSUPPORTED for weights in fewer bits than a dtype has, told by their names."""
    for name, entry in tensors.items():
        kind = next((kind for part, kind in QUANTISED.items() if name.endswith(part)), None)
        if kind is None and name.endswith(".weight") and entry.dtype in ("I8", "U8", "I32"):
            kind = "integers"
        if kind:
            raise unsupported(f"{label} is quantised to {kind}, and", DEQUANTISE, name)


def refuse_quantisation_config(config: Mapping[str, Any], label: str) -> None:
    """Raise CHECKPOINT_UNSUPPORTED for a component whose config.json says how it is quantised."""
    quantisation = config.get("quantization_config")
    if not quantisation:
        return
    method = quantisation.get("quant_method", "an unnamed method")
    details = [
        str(quantisation[key])
        for key in ("bnb_4bit_quant_type", "quant_type", "weights_dtype", "bits")
        if quantisation.get(key)
    ]
    name = METHODS.get(method, method) + (f" ({', '.join(details)})" if details else "")
    raise unsupported(f"{label} is quantised by {name}, and", DEQUANTISE, quantisation)
