"""What was written is read back before it counts as finished, and the loader is asked before the rename."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pipelines
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.export import trace
from models.export.errors import ExportError
from models.export.in_float32 import InFloat32
from models.export.loader import Loader, ParentLoader
from models.export.progress import Progress
from models.export.run import export
from models.export.source import open_source
from models.export.trace import Traceable, write_trace


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.second = nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)).to(self.second.weight.dtype)
        return self.second(torch.nn.functional.gelu(hidden))


def traceable(module: nn.Module) -> Traceable:
    return Traceable(module, (torch.randn(2, 6),), [(torch.randn(5, 6),)])


def fails(module: nn.Module, path: Path, match: str) -> ExportError:
    with pytest.raises(ExportError, match=match) as caught:
        write_trace(traceable(module), path)
    return caught.value


def test_a_file_with_other_weights_than_the_source_is_refused(tmp_path, monkeypatch):
    original = trace.copy_archive

    module = Twice().requires_grad_(False)
    bytes_of = module.first.weight.clone().numpy().tobytes()

    def flipped(source: Path, target: Path) -> None:
        original(source, target)
        content = target.read_bytes()
        at = content.index(bytes_of) + 3
        target.write_bytes(content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :])

    monkeypatch.setattr(trace, "copy_archive", flipped)
    # A zip file has checksums of its own; PyTorch's reader does not look at them.
    error = fails(module, tmp_path / "x.pt", "written with other weights|cannot be read again")
    assert error.code == "EXPORT_FAILED"


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "copy_archive", lambda source, target: target.write_bytes(b"PK"))
    assert "x.pt was written and cannot be read again" in str(
        fails(Twice(), tmp_path / "x.pt", "x.pt")
    )


@pytest.mark.parametrize(
    "code, name",
    [
        ("self.Δ = nn.Linear(6, 6)|def forward(self, x): return self.Δ(x)", "attribute 'Δ'"),
        (
            "self.a = nn.Linear(6, 6)|def forward(self, Δt): return self.a(Δt)",
            r"argument of forward\(\) 'Δt'",
        ),
    ],
)
def test_a_name_that_torchscript_cannot_read_is_named(tmp_path, code, name):
    made, forward = code.split("|")
    source = f"class M(nn.Module):\n    def __init__(self):\n        super().__init__(); {made}\n    {forward}\n"
    space: dict = {"nn": nn}
    exec(source, space)
    error = fails(space["M"](), tmp_path / "x.pt", name)
    assert error.code == "EXPORT_FAILED"
    assert not (tmp_path / "x.pt").exists()


def test_other_letters_in_local_variables_do_no_harm(tmp_path):
    class Local(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            σ = self.a(x)
            return σ * 2

    module = Local()
    x = torch.randn(3, 6)
    expected = module(x)
    write_trace(traceable(module), tmp_path / "x.pt")
    assert torch.allclose(torch.jit.load(str(tmp_path / "x.pt"))(x), expected)


def test_weights_that_are_not_finite_are_named(tmp_path):
    module = Twice().requires_grad_(False)
    module.second.weight[2, 3] = float("nan")
    error = fails(
        module, tmp_path / "x.pt", "second.weight has values that are not finite in float32"
    )
    assert error.code == "CHECKPOINT_DAMAGED"


def test_a_weight_that_overflows_in_float16_is_named(tmp_path):
    module = Twice().requires_grad_(False)
    module.first.bias[0] = 1e6
    error = fails(module.half(), tmp_path / "x.pt", "first.bias .* not finite in float16")
    assert "bfloat16" in error.expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_values_of_the_source_are_those_of_its_weights_in_float32(tmp_path, dtype):
    module = Twice().requires_grad_(False).to(dtype)
    converted = Twice()
    converted.load_state_dict({name: value.float() for name, value in module.state_dict().items()})
    subject = traceable(module)
    write_trace(subject, tmp_path / "x.pt", values=tmp_path / "x.values")
    values = load_file(tmp_path / "x.values")
    assert torch.equal(values["input.0"], subject.example[0])
    assert torch.allclose(values["output.0"], converted(subject.example[0]), atol=1e-6)


@torch.no_grad()
def test_arithmetic_in_float32_takes_no_second_copy_of_the_weights():
    """And it is what the converted module computes, whose code asks for dtypes."""
    pipeline = pipelines.pipeline("sd3", "sd3")
    encoder = pipeline.text_encoder_3
    ids = torch.randint(0, 50, (2, 9))
    short = {name: value.bfloat16() for name, value in encoder.state_dict().items()}
    encoder.load_state_dict({name: value.float() for name, value in short.items()})
    expected = encoder(ids)[0]
    encoder.bfloat16()
    with InFloat32():
        found = encoder(ids)[0]
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-5)
    assert {value.dtype for value in encoder.parameters()} == {torch.bfloat16}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return pipelines.save("dit", tmp_path_factory.mktemp("dit") / "checkpoint")


class Opens(Loader):
    """Looks at the folder as the loader does, and answers as told."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.seen: dict[str, Path] = {}

    def check(self, folder, values, progress):
        assert (folder / "bundle.json").is_file()
        manifest = json.loads((folder / "bundle.json").read_text())
        for file in manifest["files"]:
            assert (folder / file).is_file()
        for file, path in values.items():
            stored = load_file(path)
            inputs = [value for name, value in sorted(stored.items()) if name.startswith("input.")]
            output = torch.jit.load(str(folder / file))(*inputs)
            assert torch.allclose(output, stored["output.0"], atol=1e-4)
        self.seen = dict(values)
        if self.refusal:
            raise ExportError("EXPORT_FAILED", self.refusal)


def test_the_loader_opens_the_bundle_before_it_gets_its_name(made, tmp_path):
    loader = Opens()
    manifest = export(open_source(str(made)), tmp_path / "b", loader=loader)
    assert loader.seen.keys() == {"transformer.pt", "vae/decoder.pt", "vae/encoder.pt"}
    present = {
        path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*.*")
    }
    assert present == {*manifest["files"], "bundle.json"}


def test_a_bundle_that_the_loader_refuses_gets_no_name_and_is_made_again(made, tmp_path):
    with pytest.raises(ExportError, match="no such operator"):
        export(open_source(str(made)), tmp_path / "b", loader=Opens("no such operator"))
    assert not (tmp_path / "b").exists()
    export(open_source(str(made)), tmp_path / "b", loader=Opens())
    assert (tmp_path / "b" / "bundle.json").is_file()


@pytest.mark.parametrize(
    "answer, match",
    [
        (
            '{"ok": false, "code": "BUNDLE_INVALID", "message": "latent.height is missing"}\n',
            "latent.height",
        ),
        ("", "ended without an answer"),
        ("nonsense\n", "ended without an answer"),
    ],
)
def test_a_parent_that_refuses_or_ends_is_told(made, tmp_path, answer, match):
    told = io.StringIO()
    loader = ParentLoader(io.StringIO(answer))
    with pytest.raises(ExportError, match=match) as caught:
        export(
            open_source(str(made)),
            tmp_path / "b",
            progress=Progress(json_lines=True, stream=told),
            loader=loader,
        )
    assert caught.value.code == "EXPORT_FAILED"
    events = [json.loads(line) for line in told.getvalue().splitlines()]
    assert events[-1]["event"] == "check"
    assert Path(events[-1]["folder"]) == tmp_path / ".b-export"
    assert not (tmp_path / "b").exists()


def test_not_a_number_in_a_checkpoint_is_refused(made, tmp_path):
    checkpoint = Path(shutil.copytree(made, tmp_path / "checkpoint"))
    path = checkpoint / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["proj_out_2.weight"] = weights["proj_out_2.weight"] * float("nan")
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ExportError, match="proj_out_2.weight") as caught:
        export(open_source(str(checkpoint)), tmp_path / "b")
    assert caught.value.code == "CHECKPOINT_DAMAGED"
