"""The bundle writer: a trace that holds at other batch sizes, checksums, all or nothing."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest
import torch

from models.embed import describe
from models.export.bundle import TraceMismatch, rounded_copy, write_bundle
from models.trained import load_transformer


def write(model, inputs, out, **options):
    description = describe(model.config, 0.9, 2, [3, 5], "measured")
    return write_bundle(model, inputs, description, out, **options)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_trace_computes_what_the_module_computes_at_other_batch_sizes(
    tiny, inputs, tmp_path, dtype
):
    write(tiny, inputs, tmp_path / "bundle", dtype=dtype)
    reference = rounded_copy(tiny, getattr(torch, dtype))
    traced = torch.jit.load(str(tmp_path / "bundle/transformer.pt")).float()
    for batch in (1, 2, 7):
        torch.manual_seed(batch)
        others = torch.randn(batch, 1, 28, 28), torch.rand(batch), torch.randint(11, (batch,))
        assert torch.allclose(traced(*others), reference(*others), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_trace_runs_in_half_precision_with_a_float32_timestep(tiny, inputs, tmp_path, dtype):
    write(tiny, inputs, tmp_path / "bundle")
    sample, timestep, label = inputs
    expected = tiny(*inputs)
    found = torch.jit.load(str(tmp_path / "bundle/transformer.pt")).to(dtype)(
        sample.to(dtype), timestep, label
    )
    assert found.dtype == dtype
    assert torch.allclose(found.float(), expected, atol=0.05 * expected.abs().max().item())


def test_the_blocks_stay_submodules_of_the_trace(tiny, inputs, tmp_path):
    write(tiny, inputs, tmp_path / "bundle")
    traced = torch.jit.load(str(tmp_path / "bundle/transformer.pt"))
    assert [name for name, _ in traced.blocks.named_children()] == ["0", "1", "2"]


def test_the_eager_model_comes_back_from_the_state_dict(tiny, inputs, tmp_path):
    write(tiny, inputs, tmp_path / "bundle")
    loaded = load_transformer(tmp_path / "bundle")
    assert loaded.config == tiny.config
    assert torch.equal(loaded(*inputs), rounded_copy(tiny, torch.float16)(*inputs))


def test_the_manifest_names_every_file_with_its_checksum(tiny, inputs, tmp_path):
    out = tmp_path / "bundle"
    manifest = write(tiny, inputs, out, documents={"notes.json": {"a": [1, 2]}})
    assert json.loads((out / "bundle.json").read_text()) == manifest
    assert set(manifest["files"]) == {"transformer.pt", "notes.json"}
    for name, record in manifest["files"].items():
        content = (out / name).read_bytes()
        assert record == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    assert manifest["transformer"]["dtype"] == "float16"
    assert manifest["transformer"]["hiddenChannels"] == 64


def test_the_archive_does_not_tell_where_it_was_made(tiny, inputs, tmp_path):
    write(tiny, inputs, tmp_path / "bundle")
    archive = zipfile.ZipFile(tmp_path / "bundle/transformer.pt")
    for name in archive.namelist():
        assert not name.endswith(".debug_pkl")
        assert b"diffusion_transformer.py" not in archive.read(name)


class FixedBatch(torch.nn.Module):
    """Turns the batch size into a constant of the trace."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight * int(x.shape[0])


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_a_trace_that_fixes_the_batch_size_is_refused_and_the_old_bundle_stays(
    tiny, inputs, tmp_path
):
    out = tmp_path / "bundle"
    write(tiny, inputs, out)
    before = (out / "bundle.json").read_bytes()
    description = {"name": "fixed", "transformer": {}}
    with pytest.raises(TraceMismatch, match="turn a size into a constant"):
        write_bundle(FixedBatch(), [torch.randn(2, 3)], description, out)
    assert (out / "bundle.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_bundle_is_replaced_whole(tiny, inputs, tmp_path):
    out = tmp_path / "bundle"
    write(tiny, inputs, out, documents={"old.json": {}})
    write(tiny, inputs, out, documents={"new.json": {}})
    assert sorted(path.name for path in out.iterdir()) == [
        "bundle.json",
        "new.json",
        "transformer.pt",
    ]
