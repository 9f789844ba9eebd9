"""Checkpoints that lack weights, have others, or have them under other names: refused, with the names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.export.errors import ExportError
from models.export.run import export
from models.export.source import open_source

Weights = dict[str, Tensor]
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
CLIP = "text_encoder/model.safetensors"
T5 = "text_encoder_3/model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return pipelines.save("sd3", tmp_path_factory.mktemp("sd3") / "checkpoint")


@pytest.fixture
def checkpoint(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "checkpoint"))


def change(file: Path, how: Callable[[Weights], Weights]) -> None:
    weights = how(load_file(file))
    save_file({name: each.contiguous() for name, each in weights.items()}, file, {"format": "pt"})


def refused(checkpoint: Path, tmp_path: Path, code: str) -> ExportError:
    """No bundle is written."""
    with pytest.raises(ExportError) as caught:
        export(open_source(str(checkpoint)), tmp_path / "bundle")
    assert caught.value.code == code
    assert not (tmp_path / "bundle").exists()
    return caught.value


def without(name: str) -> Callable[[Weights], Weights]:
    return lambda weights: {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    "file, name",
    [
        (TRANSFORMER, "transformer_blocks.2.ff.net.2.weight"),
        (CLIP, "text_model.encoder.layers.1.self_attn.q_proj.weight"),
        (T5, "encoder.block.0.layer.1.DenseReluDense.wo.weight"),
        (VAE, "decoder.conv_in.weight"),
        (VAE, "encoder.conv_in.bias"),
    ],
)
def test_a_weight_that_is_missing_is_named(checkpoint, tmp_path, file, name):
    assert name in load_file(checkpoint / file)
    change(checkpoint / file, without(name))
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert error.received == [name]
    assert f"The {Path(file).parent} of checkpoint lacks weights: {name}" in str(error)


@pytest.mark.parametrize("file", [TRANSFORMER, CLIP, T5, VAE])
def test_a_weight_that_the_model_does_not_have_is_named(checkpoint, tmp_path, file):
    change(checkpoint / file, lambda weights: {**weights, "control.0.weight": torch.zeros(3)})
    error = refused(checkpoint, tmp_path, "CHECKPOINT_UNSUPPORTED")
    assert error.received == ["control.0.weight"]


def with_lora(part: str) -> Callable[[Weights], Weights]:
    """As peft names the weights of a model to which a LoRA is attached."""

    def attached(weights: Weights) -> Weights:
        result: Weights = {}
        for name, value in weights.items():
            layer, _, kind = name.rpartition(".")
            if part not in name or value.dim() != 2:
                result[name] = value
                continue
            result[f"{layer}.base_layer.{kind}"] = value
            result[f"{layer}.lora_A.default.weight"] = torch.randn(4, value.shape[1])
            result[f"{layer}.lora_B.default.weight"] = torch.randn(value.shape[0], 4)
        return result

    return attached


@pytest.mark.parametrize(
    "file, part", [(TRANSFORMER, "attn.to_q"), (CLIP, "q_proj"), (T5, "SelfAttention.q")]
)
def test_a_model_that_was_saved_with_a_lora_is_refused(checkpoint, tmp_path, file, part):
    change(checkpoint / file, with_lora(part))
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert "saved with a LoRA attached" in str(error)
    assert "fuse_lora()" in str(error)
    assert any(".base_layer." in name for name in error.received)


@pytest.mark.parametrize("file", [TRANSFORMER, T5])
def test_weights_of_another_shape_are_named_with_both_shapes(checkpoint, tmp_path, file):
    name, weight = next(
        (name, value) for name, value in load_file(checkpoint / file).items() if value.dim() == 2
    )
    change(checkpoint / file, lambda weights: {**weights, name: weight[:-1].clone()})
    error = refused(checkpoint, tmp_path, "CHECKPOINT_DAMAGED")
    rows, columns = weight.shape
    assert f"{name} has the shape [{rows - 1}, {columns}] in the file, [{rows}, {columns}]" in str(
        error
    )


def test_names_that_the_libraries_know_are_no_fault(checkpoint, tmp_path):
    """Tables that a model computes itself, and that older versions stored."""
    positions = torch.arange(77)[None]
    change(
        checkpoint / CLIP,
        lambda weights: {**weights, "text_model.embeddings.position_ids": positions},
    )
    export(open_source(str(checkpoint)), tmp_path / "bundle")


@pytest.mark.parametrize("component", ["transformer", "text_encoder_3", "vae"])
def test_shards_without_their_index_are_told(made, tmp_path, component):
    checkpoint = tmp_path / "checkpoint"
    pipelines.load(made).save_pretrained(str(checkpoint), max_shard_size="30KB")
    indices = list((checkpoint / component).glob("*.index.json"))
    assert len(indices) == 1
    indices[0].unlink()
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert error.expected == indices[0].name
    assert f"The {component} of checkpoint is in several files" in str(error)


def test_a_shard_of_which_a_weight_was_cut_is_told(made, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    pipelines.load(made).save_pretrained(str(checkpoint), max_shard_size="30KB")
    shard = sorted((checkpoint / "transformer").glob("*.safetensors"))[1]
    name = sorted(load_file(shard))[0]
    change(shard, without(name))
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert name in str(error)


def test_a_link_to_nothing_is_told(checkpoint, tmp_path):
    """The hub's cache has links to files; some may not have been downloaded."""
    (checkpoint / VAE).unlink()
    (checkpoint / VAE).symlink_to(tmp_path / "blobs" / "abc")
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert "is a link to nothing" in str(error)


def test_a_pointer_of_git_lfs_is_told(checkpoint, tmp_path):
    (checkpoint / T5).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    error = refused(checkpoint, tmp_path, "CHECKPOINT_INCOMPLETE")
    assert "git lfs pull" in str(error)


@pytest.mark.parametrize(
    "content, code, match",
    [("[]", "CHECKPOINT_DAMAGED", "a JSON object"), ("{", "CHECKPOINT_DAMAGED", "is not JSON")],
)
def test_a_configuration_that_is_none_is_told(checkpoint, tmp_path, content, code, match):
    (checkpoint / "transformer" / "config.json").write_text(content)
    assert match in str(refused(checkpoint, tmp_path, code))


def test_a_configuration_of_another_model_is_told(checkpoint, tmp_path):
    path = checkpoint / "transformer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_layers": 5}))
    error = refused(checkpoint, tmp_path, "CHECKPOINT_DAMAGED")
    assert "The weights of the transformer of checkpoint do not fit its configuration" in str(error)
