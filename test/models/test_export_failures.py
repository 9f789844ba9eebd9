"""Exports that go wrong, that are interrupted and go on, and in other dtypes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.export import run as export_run
from models.export.adapter import export_adapter
from models.export.checkpoint import Checkpoint
from models.export.errors import ExportError
from models.export.loader import Loader, LoaderRefused
from models.export.progress import Progress
from models.export.run import export
from models.export.source import open_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A checkpoint; tests copy it before they break it."""
    return pipelines.save("dit", tmp_path_factory.mktemp("dit") / "checkpoint")


@pytest.fixture
def checkpoint(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "checkpoint"))


class Refusing(Loader):
    def __init__(self, code: str | None) -> None:
        self.code = code

    def check(self, folder, values, progress):
        raise LoaderRefused(self.code, "no")


class Recorded(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict]] = []

    def event(self, kind, **details):
        self.events.append((kind, details))

    def states(self, state: str) -> list[str]:
        return [
            details["name"]
            for kind, details in self.events
            if kind == "component" and details["state"] == state
        ]


def fails(code: str, checkpoint: Path, out: Path, match: str = "", **options) -> ExportError:
    """The export ends with this code and leaves nothing at `out`."""
    with pytest.raises(ExportError, match=match) as caught:
        export(open_source(str(checkpoint)), out, **options)
    assert caught.value.code == code
    assert not out.exists()
    return caught.value


def edit_index(checkpoint: Path, **changes) -> None:
    path = checkpoint / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_pipeline_of_an_unknown_class_is_named(checkpoint, tmp_path):
    edit_index(checkpoint, _class_name="StableDiffusionXLPipeline")
    fails("CHECKPOINT_UNSUPPORTED", checkpoint, tmp_path / "b", "StableDiffusionXLPipeline")


def test_a_folder_without_an_index_is_no_checkpoint(tmp_path):
    fails("CHECKPOINT_NOT_FOUND", tmp_path, tmp_path / "b", "model_index.json")


def test_a_place_that_is_not_there_is_told(tmp_path):
    fails("CHECKPOINT_NOT_FOUND", tmp_path / "nowhere" / "at" / "all", tmp_path / "b", "no folder")


def test_a_component_that_is_missing_is_named(checkpoint, tmp_path):
    shutil.rmtree(checkpoint / "vae")
    fails("CHECKPOINT_INCOMPLETE", checkpoint, tmp_path / "b", "vae")


def test_a_component_that_the_index_leaves_out_is_named(checkpoint, tmp_path):
    edit_index(checkpoint, vae=[None, None])
    fails("CHECKPOINT_INCOMPLETE", checkpoint, tmp_path / "b", "no vae")


def test_weights_that_are_missing_are_told(checkpoint, tmp_path):
    (checkpoint / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    fails("CHECKPOINT_INCOMPLETE", checkpoint, tmp_path / "b", "no weights")


@pytest.mark.parametrize("left", [4, 100, -1])
def test_a_file_that_is_cut_short_is_told_by_its_size(checkpoint, tmp_path, left):
    path = checkpoint / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    error = fails("CHECKPOINT_DAMAGED", checkpoint, tmp_path / "b", "Download it again")
    assert error.received == path.stat().st_size


def test_weights_that_do_not_fit_the_configuration_are_told(checkpoint, tmp_path):
    path = checkpoint / "transformer" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attention_head_dim": 24}))
    fails("CHECKPOINT_DAMAGED", checkpoint, tmp_path / "b", "transformer")


def test_a_scheduler_that_is_not_known_is_named(checkpoint, tmp_path):
    path = checkpoint / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "VQDiffusionScheduler"}))
    fails("CHECKPOINT_UNSUPPORTED", checkpoint, tmp_path / "b", "VQDiffusionScheduler")


def test_a_scheduler_for_which_another_stands_in_is_noted(checkpoint, tmp_path):
    path = checkpoint / "scheduler" / "scheduler_config.json"
    path.write_text(
        json.dumps(
            {
                "_class_name": "DEISMultistepScheduler",
                "prediction_type": "flow_prediction",
                "flow_shift": 3.0,
            }
        )
    )
    manifest = export(open_source(str(checkpoint)), tmp_path / "b")
    assert manifest["scheduler"] == {
        "kind": "dpm-solver++",
        "flowShift": 3.0,
        "timestepScale": 1000,
    }
    assert "DEISMultistepScheduler" in manifest["x-notes"][0]


def test_options_of_a_solver_that_are_not_taken_over_are_noted(checkpoint, tmp_path):
    path = checkpoint / "scheduler" / "scheduler_config.json"
    config = {"_class_name": "UniPCMultistepScheduler", "solver_type": "bh2", "solver_order": 3}
    path.write_text(json.dumps(config))
    manifest = export(open_source(str(checkpoint)), tmp_path / "b")
    assert manifest["scheduler"] == {"kind": "unipc"}
    assert "solver_order = 3" in manifest["x-notes"][0]
    assert len(manifest["x-notes"]) == 1


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_shards_and_variants_and_older_files_are_read(made, tmp_path, safe, variant):
    checkpoint = tmp_path / "checkpoint"
    options = {"safe_serialization": safe, "variant": variant, "max_shard_size": "100KB"}
    whole = pipelines.load(made)
    whole.save_pretrained(str(checkpoint), **options)
    folder = checkpoint / "transformer"
    suffix = "safetensors" if safe else "bin"
    assert len(list(folder.glob(f"*.{suffix}"))) > 1
    # Lists of shards that are not read and were not downloaded do not matter.
    other = "fp32" if variant else "fp16"
    (folder / f"diffusion_pytorch_model.{suffix}.index.{other}.json").write_text(
        json.dumps({"weight_map": {"x": "elsewhere"}})
    )
    export(open_source(str(checkpoint)), tmp_path / "b")
    traced = torch.jit.load(str(tmp_path / "b" / "transformer.pt")).state_dict()
    for name, tensor in whole.transformer.state_dict().items():
        if f"transformer.{name}" in traced:
            assert torch.equal(traced[f"transformer.{name}"], tensor)
    sorted(folder.glob(f"*.{suffix}"))[1].unlink()
    fails("CHECKPOINT_INCOMPLETE", checkpoint, tmp_path / "c", "lacks .*-00002-of-")


def test_what_is_there_already_is_left_alone(checkpoint, tmp_path):
    out = tmp_path / "b"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ExportError, match="exists already") as caught:
            export(open_source(str(checkpoint)), out, overwrite=overwrite)
        assert caught.value.code == "OUTPUT_EXISTS"
    assert (out / "mine.txt").read_text() == "mine"


def test_a_bundle_is_replaced_when_asked_to_and_what_is_finished_is_kept(
    checkpoint, tmp_path, monkeypatch
):
    out = tmp_path / "b"
    original = export_run.write_trace

    def stops(subject, path, *rest):
        if path.name == ".decoder.pt.partial":
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return original(subject, path, *rest)

    monkeypatch.setattr(export_run, "write_trace", stops)
    with pytest.raises(KeyboardInterrupt):
        export(open_source(str(checkpoint)), out)
    assert not out.exists()
    half = [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
    assert not half
    monkeypatch.undo()

    progress = Recorded()
    first = export(open_source(str(checkpoint)), out, progress=progress)
    assert progress.states("kept") == ["transformer"]
    assert progress.states("done") == ["vae decoder", "vae encoder"]
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert present == {*first["files"], "bundle.json"}
    assert not list(tmp_path.glob(".b-export*"))

    second = export(open_source(str(checkpoint)), out, dtype="bfloat16", overwrite=True)
    assert second["transformer"]["dtype"] == "bfloat16"


def test_a_finished_file_of_other_weights_or_that_was_altered_is_made_again(
    checkpoint, tmp_path, monkeypatch
):
    out = tmp_path / "b"
    monkeypatch.setattr(
        export_run.Workspace, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        export(open_source(str(checkpoint)), out)
    with (tmp_path / ".b-export" / "vae" / "decoder.pt").open("ab") as file:
        file.write(b"x")
    weights = checkpoint / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({name: tensor * 1.01 for name, tensor in tensors.items()}, weights, {"format": "pt"})
    monkeypatch.undo()
    progress = Recorded()
    export(open_source(str(checkpoint)), out, progress=progress)
    assert progress.states("kept") == ["vae encoder"]
    # A traced weight is the checkpoint's, not the earlier one.
    traced = torch.jit.load(str(out / "transformer.pt")).state_dict()
    assert torch.equal(traced["transformer.proj_out_2.bias"], tensors["proj_out_2.bias"] * 1.01)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_are_stored_in_the_dtype_asked_for(checkpoint, tmp_path, dtype):
    manifest = export(open_source(str(checkpoint)), tmp_path / "b", dtype=dtype)
    kind = getattr(torch, dtype)
    traced = torch.jit.load(str(tmp_path / "b" / "transformer.pt"))
    weights = load_file(checkpoint / "transformer" / "diffusion_pytorch_model.safetensors")
    for name, tensor in traced.named_parameters():
        original = weights[name.removeprefix("transformer.")]
        assert tensor.dtype == kind
        assert torch.equal(tensor, original.to(kind))
    inputs = torch.randn(3, 4, 12, 8), torch.tensor([500.0, 20.0, 3.0]), torch.tensor([1, 1000, 5])
    whole = pipelines.load(checkpoint).transformer
    whole.load_state_dict({name: each.to(kind).float() for name, each in weights.items()})
    found = traced.float()(inputs[0][..., :8, :], *inputs[1:])
    expected = whole(
        inputs[0][..., :8, :], timestep=inputs[1].long(), class_labels=inputs[2], return_dict=False
    )[0]
    assert torch.allclose(found, expected, atol=1e-4)
    # An autoencoder that overflows in half precision is kept in single.
    assert manifest["vae"]["decoder"]["dtype"] == ("float32" if dtype == "float16" else dtype)


def test_by_default_the_dtype_is_that_of_the_checkpoint(checkpoint):
    assert Checkpoint(checkpoint).stored_dtype() == "float32"
    path = checkpoint / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({name: each.half() for name, each in load_file(path).items()}, path)
    assert Checkpoint(checkpoint).stored_dtype() == "float16"


def test_the_licence_is_what_the_model_card_says(checkpoint, tmp_path):
    (checkpoint / "README.md").write_text("---\nlicense: cc-by-nc-4.0\ntags: [dit]\n---\n# DiT\n")
    assert export(open_source(str(checkpoint)), tmp_path / "b")["licence"] == "cc-by-nc-4.0"


def command(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "models.export", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_command_tells_programs_what_it_does_as_json_lines(checkpoint, tmp_path):
    out = tmp_path / "b"
    done = command("--from", checkpoint, "--out", out, "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    assert events[0]["components"] == ["transformer", "vae decoder", "vae encoder"]
    assert events[-1] == {"event": "done", "seconds": events[-1]["seconds"], "out": str(out)}
    again = command("--from", checkpoint, "--out", out, "--progress", "json")
    assert again.returncode == 1
    assert json.loads(again.stderr.splitlines()[-1])["code"] == "OUTPUT_EXISTS"


def test_a_disk_without_room_is_told_and_the_next_attempt_goes_on(
    checkpoint, tmp_path, monkeypatch
):
    rooms = iter([1 << 40, 1000])
    usage = type("usage", (), {})
    usage.free = property(lambda self: next(rooms))
    monkeypatch.setattr("models.export.trace.shutil.disk_usage", lambda folder: usage())
    fails("OUTPUT_UNWRITABLE", checkpoint, tmp_path / "b", "0.1 GB are needed")
    monkeypatch.undo()
    progress = Recorded()
    export(open_source(str(checkpoint)), tmp_path / "b", progress=progress)
    assert progress.states("kept") == ["transformer"]


def test_the_example_of_an_adapter_is_a_bundle(tmp_path):
    out = tmp_path / "grating"
    manifest = export_adapter(ROOT / "examples" / "adapter" / "grating.py", out)
    assert manifest["name"] == "grating"
    assert manifest["transformer"]["blocks"] == [{"path": "blocks.*", "streams": ["image"]}]
    traced = torch.jit.load(str(out / "transformer.pt"))
    assert traced(torch.randn(1, 3, 20, 8), torch.rand(1)).shape == (1, 3, 20, 8)


def test_an_adapter_is_made_again_when_what_it_imports_or_reads_has_changed(tmp_path):
    example = (ROOT / "examples" / "adapter" / "grating.py").read_text()
    (tmp_path / "grating_net.py").write_text(example)
    mine = "import grating_net\ndef adapter(source, dtype):\n    return grating_net.adapter(None, dtype)\n"
    (tmp_path / "mine.py").write_text(mine)
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "a.bin").write_bytes(b"one")

    def refused(code: str | None) -> list[str]:
        progress = Recorded()
        with pytest.raises(LoaderRefused):
            export_adapter(
                tmp_path / "mine.py",
                tmp_path / "b",
                source=str(weights),
                progress=progress,
                loader=Refusing(code),
            )
        return progress.states("kept")

    # What tells of the machine leaves what was made; what tells of the files does not.
    assert refused("ADDON_NOT_BUILT") == []
    assert refused(None) == ["transformer"]
    (weights / "a.bin").write_bytes(b"other")
    assert refused("OUT_OF_MEMORY") == []
    (tmp_path / "grating_net.py").write_text(example + "\n# edited\n")
    assert refused("MODEL_UNREADABLE") == []
    assert refused("ADDON_NOT_BUILT") == []


def test_an_adapter_that_fixes_a_size_is_refused(tmp_path):
    source = (ROOT / "examples" / "adapter" / "grating.py").read_text()
    fixed = source.replace("sample.shape[2] // PATCH", "int(sample.shape[2]) // PATCH")
    (tmp_path / "fixed.py").write_text(fixed)
    with pytest.raises(ExportError, match="turn a size into a constant") as caught:
        export_adapter(tmp_path / "fixed.py", tmp_path / "b")
    assert caught.value.code == "EXPORT_FAILED"
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ExportError, match="is not there"):
        export_adapter(tmp_path / "empty.py", tmp_path / "b")


@pytest.fixture(scope="module")
def prompted(tmp_path_factory) -> Path:
    """A checkpoint with text encoders: CLIP, and T5."""
    return pipelines.save("flux", tmp_path_factory.mktemp("flux") / "checkpoint")


@pytest.mark.parametrize(
    "taken, given, match",
    [
        ("tokenizer", "tokenizer_2", "of a CLIP encoder"),
        ("tokenizer_2", "tokenizer", "of a T5 encoder|numbers below"),
    ],
)
def test_a_tokenizer_of_another_encoder_is_refused(prompted, tmp_path, taken, given, match):
    checkpoint = Path(shutil.copytree(prompted, tmp_path / "checkpoint"))
    shutil.rmtree(checkpoint / taken)
    shutil.copytree(checkpoint / given, checkpoint / taken)
    error = fails("CHECKPOINT_DAMAGED", checkpoint, tmp_path / "b", match)
    assert "does not fit its encoder" in str(error)


def test_a_tokenizer_with_more_tokens_than_the_encoder_has_is_refused(prompted, tmp_path):
    checkpoint = Path(shutil.copytree(prompted, tmp_path / "checkpoint"))
    path = checkpoint / "text_encoder" / "config.json"
    weights = checkpoint / "text_encoder" / "model.safetensors"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocab_size": 300}))
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("token_embedding.weight"))
    save_file({**tensors, name: tensors[name][:300].clone()}, weights, {"format": "pt"})
    fails("CHECKPOINT_DAMAGED", checkpoint, tmp_path / "b", "numbers below 300")


def test_a_single_file_takes_its_configuration_from_a_folder(tmp_path):
    folder = pipelines.save("flux", tmp_path / "checkpoint", "dev")
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    file = tmp_path / "tuned.safetensors"
    shutil.move(weights, file)
    with pytest.raises(ExportError, match="--config"):
        open_source(str(file))
    manifest = export(open_source(str(file), config=folder), tmp_path / "b")
    assert manifest["name"] == "tuned"
    traced = torch.jit.load(str(tmp_path / "b" / "transformer.pt")).state_dict()
    for name, tensor in load_file(file).items():
        assert torch.equal(traced[f"transformer.{name}"], tensor)
