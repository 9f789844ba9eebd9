"""Checkpoints as people have them: float8 with and without scales, half precision in .bin; and kinds that
cannot be exported, each refused by its name."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pipelines
import pytest
import torch
from published_layout import PREFIX, published_sd3
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.export.checkpoint import Checkpoint
from models.export.errors import ExportError
from models.export.run import export
from models.export.source import open_source

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
FLOAT8 = torch.float8_e4m3fn
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return pipelines.save("sd3", tmp_path_factory.mktemp("sd3") / "checkpoint")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """Without text encoders: quick to export."""
    return pipelines.save("dit", tmp_path_factory.mktemp("dit") / "checkpoint")


@pytest.fixture
def checkpoint(plain, tmp_path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "checkpoint"))


def exported(bundle: Path) -> Weights:
    """The transformer's weights in a bundle, by diffusers' names."""
    weights = torch.jit.load(str(bundle / "transformer.pt")).state_dict()
    return {name.removeprefix("transformer."): value for name, value in weights.items()}


def scaled(weights: Weights, per_row: bool = False) -> tuple[Weights, dict[str, Tensor]]:
    """Matrices as float8 with their scales, which come second, by the name of the layer."""
    result, scales = {}, {}
    for name, value in weights.items():
        if name.endswith(".weight") and value.dim() == 2 and "block" in name:
            largest = value.abs().amax(dim=1, keepdim=True) if per_row else value.abs().max()
            scale = (largest / 448).float()
            result[name] = (value / scale).to(FLOAT8)
            scales[name.removesuffix(".weight")] = scale
        else:
            result[name] = value.to(torch.bfloat16)
    return result, scales


def comfy(layer: str, scale: Tensor) -> Weights:
    """ComfyUI's older names."""
    return {
        f"{layer}.scale_weight": scale.reshape(-1)[:1].reshape(()),
        f"{layer}.scale_input": torch.ones(()),
    }


def comfy_quant(layer: str, scale: Tensor) -> Weights:
    """ComfyUI's newer names, a scale for each row."""
    kind = json.dumps({"format": "float8_e4m3fn"}).encode()
    return {
        f"{layer}.weight_scale": scale.clone(),
        f"{layer}.comfy_quant": torch.tensor(list(kind), dtype=torch.uint8),
    }


@pytest.mark.parametrize("style, per_row", [(comfy, False), (comfy_quant, True)])
def test_scales_of_a_single_file_are_multiplied_out(made, tmp_path, style, per_row):
    weights = load_file(made / TRANSFORMER)
    published = published_sd3(weights, layers=4)
    small, scales = scaled(published, per_row)
    assert scales
    for layer, scale in scales.items():
        small |= style(layer, scale)
    small[f"{PREFIX}scaled_fp8"] = torch.empty(2, dtype=FLOAT8)
    # What else such files hold is none of the transformer's.
    small["text_encoders.t5xxl.transformer.shared.weight"] = torch.zeros(2, 2)
    save_file(small, tmp_path / "scaled.safetensors")
    manifest = export(
        open_source(str(tmp_path / "scaled.safetensors"), config=made), tmp_path / "b"
    )
    assert manifest["transformer"]["dtype"] == "bfloat16"
    assert f"{len(scales)} of them multiplied by the scale" in manifest["x-notes"][-1]

    # The right values: each weight times its scale, in float32, rounded once.
    truth = {
        name: (value.float() * scales.get(name.removesuffix(".weight"), 1)).bfloat16()
        for name, value in small.items()
        if name.startswith(PREFIX) and name in published
    }
    save_file(truth, tmp_path / "truth.safetensors")
    export(open_source(str(tmp_path / "truth.safetensors"), config=made), tmp_path / "truth")
    expected = exported(tmp_path / "truth")
    for name, value in exported(tmp_path / "b").items():
        assert torch.equal(value, expected[name]), name
        # Three bits of mantissa are kept.
        if name in weights:
            error = (value.float() - weights[name]).norm() / weights[name].norm()
            assert error < 0.04, name


def test_scales_of_a_folder_are_multiplied_out(checkpoint, tmp_path):
    weights = load_file(checkpoint / TRANSFORMER)
    small, scales = scaled(weights)
    for layer, scale in scales.items():
        small |= comfy(layer, scale)
    save_file(small, checkpoint / TRANSFORMER, {"format": "pt"})
    export(open_source(str(checkpoint)), tmp_path / "b")
    found = exported(tmp_path / "b")
    for layer, scale in scales.items():
        name = f"{layer}.weight"
        assert torch.equal(found[name], (small[name].float() * scale).bfloat16())


def test_a_scale_of_another_shape_is_refused(checkpoint, tmp_path):
    weights = load_file(checkpoint / TRANSFORMER)
    small, scales = scaled(weights)
    layer = next(iter(scales))
    small[f"{layer}.scale_weight"] = torch.ones(2, 3)
    save_file(small, checkpoint / TRANSFORMER, {"format": "pt"})
    with pytest.raises(ExportError, match=r"received the shape \[2, 3\]") as caught:
        export(open_source(str(checkpoint)), tmp_path / "b")
    assert caught.value.code == "CHECKPOINT_UNSUPPORTED"


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_becomes_bfloat16_which_has_every_value_of_it(checkpoint, tmp_path, kind):
    weights = {name: value.to(kind) for name, value in load_file(checkpoint / TRANSFORMER).items()}
    save_file(weights, checkpoint / TRANSFORMER, {"format": "pt"})
    manifest = export(open_source(str(checkpoint)), tmp_path / "b")
    assert manifest["transformer"]["dtype"] == "bfloat16"
    assert "stored in float8 and written in bfloat16" in manifest["x-notes"][-1]
    for name, value in exported(tmp_path / "b").items():
        assert value.dtype == torch.bfloat16
        assert torch.equal(value.float(), weights[name].float())


def as_pickle(checkpoint: Path, dtype: torch.dtype) -> None:
    weights = {name: value.to(dtype) for name, value in load_file(checkpoint / TRANSFORMER).items()}
    (checkpoint / TRANSFORMER).unlink()
    torch.save(weights, (checkpoint / TRANSFORMER).with_suffix(".bin"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_in_a_bin_file_stays_half(checkpoint, dtype):
    as_pickle(checkpoint, getattr(torch, dtype))
    assert Checkpoint(checkpoint).stored_dtype() == dtype


def test_a_bin_file_that_is_cut_short_is_told(checkpoint, tmp_path):
    as_pickle(checkpoint, torch.float16)
    path = (checkpoint / TRANSFORMER).with_suffix(".bin")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ExportError, match="is damaged: PyTorch cannot read it") as caught:
        export(open_source(str(checkpoint)), tmp_path / "b")
    assert caught.value.code == "CHECKPOINT_DAMAGED"


def refused(source: Path, tmp_path: Path, code: str = "CHECKPOINT_UNSUPPORTED", **options) -> str:
    with pytest.raises(ExportError) as caught:
        export(open_source(str(source), **options), tmp_path / "b")
    assert caught.value.code == code
    assert not (tmp_path / "b").exists()
    return str(caught.value)


def lora() -> Weights:
    layer = "transformer.transformer_blocks.0.attn.to_q.lora_"
    return {f"{layer}A.weight": torch.zeros(4, 96), f"{layer}B.weight": torch.zeros(96, 4)}


def test_files_of_other_kinds_are_refused_by_their_name(tmp_path, plain):
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    assert "model.gguf is a GGUF file" in refused(gguf, tmp_path)
    ckpt = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"x": torch.zeros(2)}}, ckpt)
    message = refused(ckpt, tmp_path)
    assert "model.ckpt is a pickled checkpoint" in message and "save_file" in message
    torch.save({"x": torch.zeros(2)}, ckpt, _use_new_zipfile_serialization=False)
    assert "is a pickled checkpoint" in refused(ckpt, tmp_path)
    save_file(lora(), tmp_path / "lora.safetensors")
    message = refused(tmp_path / "lora.safetensors", tmp_path, config=plain)
    assert "lora.safetensors is a LoRA" in message and "fuse_lora()" in message
    (tmp_path / "notes.txt").write_text("nothing at all, but long enough to have a beginning")
    assert "is no safetensors file" in refused(tmp_path / "notes.txt", tmp_path)


def test_folders_of_other_kinds_are_refused_by_their_name(tmp_path, checkpoint):
    folder = tmp_path / "lora"
    folder.mkdir()
    save_file(lora(), folder / "pytorch_lora_weights.safetensors")
    assert "is a LoRA" in refused(folder, tmp_path)
    alone = refused(checkpoint / "transformer", tmp_path, "CHECKPOINT_NOT_FOUND")
    assert "DiTTransformer2DModel" in alone and "whole pipeline" in alone


@pytest.mark.parametrize(
    "quantisation, name",
    [
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "bitsandbytes (nf4)",
        ),
        ({"quant_method": "torchao", "quant_type": "int8wo"}, "torchao (int8wo)"),
        ({"quant_method": "quanto", "weights_dtype": "int8"}, "quanto (int8)"),
        ({"quant_method": "gguf"}, "gguf"),
    ],
)
@pytest.mark.parametrize("component", ["transformer", "vae"])
def test_a_quantised_component_is_refused_by_the_name_of_its_method(
    checkpoint, tmp_path, component, quantisation, name
):
    path = checkpoint / component / "config.json"
    config = {**json.loads(path.read_text()), "quantization_config": quantisation}
    path.write_text(json.dumps(config))
    message = refused(checkpoint, tmp_path)
    assert f"The {component} of checkpoint is quantised by {name}" in message
    assert "dequantize()" in message


@pytest.mark.parametrize(
    "added, kind",
    [
        ("transformer_blocks.0.ff.net.2.weight.quant_state.bitsandbytes__nf4", "nf4"),
        ("transformer_blocks.0.ff.net.2.weight.absmax", "4 bits"),
        ("transformer_blocks.0.ff.net.2.SCB", "int8"),
        ("transformer_blocks.0.ff.net.2.qweight", "packed integers"),
        ("transformer_blocks.0.ff.net.2.weight_scale_2", "NVFP4"),
    ],
)
def test_quantised_weights_without_a_word_in_the_configuration_are_told_by_their_names(
    checkpoint, tmp_path, added, kind
):
    weights = {**load_file(checkpoint / TRANSFORMER), added: torch.zeros(4, dtype=torch.uint8)}
    save_file(weights, checkpoint / TRANSFORMER, {"format": "pt"})
    assert "is quantised to" in refused(checkpoint, tmp_path)
    assert kind in refused(checkpoint, tmp_path)


def test_a_comfy_file_of_another_quantisation_is_refused(made, tmp_path):
    published = published_sd3(load_file(made / TRANSFORMER), layers=4)
    layer = f"{PREFIX}joint_blocks.0.x_block.mlp.fc1"
    text = json.dumps({"format": "nvfp4"}).encode()
    published[f"{layer}.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
    save_file(published, tmp_path / "x.safetensors")
    assert "is quantised to nvfp4" in refused(tmp_path / "x.safetensors", tmp_path, config=made)


def test_a_single_file_that_lacks_a_weight_or_has_another_is_refused(made, tmp_path):
    published = published_sd3(load_file(made / TRANSFORMER), layers=4)
    file = tmp_path / "x.safetensors"
    name = "joint_blocks.2.x_block.mlp.fc2.weight"
    save_file({key: value for key, value in published.items() if key != PREFIX + name}, file)
    assert name in refused(file, tmp_path, "CHECKPOINT_INCOMPLETE", config=made)
    save_file({**published, f"{PREFIX}control.weight": torch.zeros(3)}, file)
    assert "does not have: control.weight" in refused(file, tmp_path, config=made)
    weights = load_file(made / TRANSFORMER)
    del weights["proj_out.bias"]
    save_file(weights, file)
    message = refused(file, tmp_path, "CHECKPOINT_INCOMPLETE", config=made)
    assert "lacks weights: proj_out.bias" in message


def test_a_single_file_of_another_model_is_refused(made, tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "x.safetensors")
    message = refused(tmp_path / "x.safetensors", tmp_path, config=made)
    assert "does not find the transformer, a SD3Transformer2DModel, in x.safetensors" in message
