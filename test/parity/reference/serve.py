"""Answers the parity tests: one request a line on stdin, one answer a line on stdout.

    {"id": 1, "op": "write", "subject": "sd3", "out": "<folder>"}
        writes the subject's bundle, traced, in float32
    {"id": 2, "op": "forward", "subject": "sd3", "edits": [...], "captures": [...]}
        one evaluation; answers with the tensors "output" and "capture.<k>"
        with "quantised": [{path, channels}], "weights": "int8", "activations": "per-token", these layers
        in 8 bits (quantised.py)
    {"id": 3, "op": "sample", "subject": "sd3", "guidance": {...}, "steps": 8, "scheduler": {...}}
        a whole run; answers with "latents" and the number of "evaluations"; with "record": [sites],
        also with their hidden states and statistics in every evaluation of every branch
    {"id": 4, "op": "script", "name": "...", "out": "<file>"} and {"op": "run", "name": "..."}
        writes one of scripted.py's modules, and runs it
    {"id": 5, "op": "export", "family": "sd3", "variant": "sd35", "out": "<folder>"}
    {"id": 6, "op": "generate", "family": "sd3", "variant": "sd35", "options": {...}, "detail": {...}}
        exports a pipeline of diffusers as a bundle, and runs it (families.py)
    {"id": 7, "op": "adapter", "name": "flux2", "out": "<folder>"}
        exports a transformer of diffusers by an adapter; answers with its inputs and outputs (others.py)

Tensors go through safetensors files named by "input" and "output". A tensor in an edit is given by
its name in the input file. A request that fails is answered with {"id", "error"}.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from architectures import SUBJECTS, Subject, embedded  # noqa: E402
from edits import captured, edited  # noqa: E402
from guidance import sample  # noqa: E402
from quantised import quantised  # noqa: E402
from scripted import MODULES  # noqa: E402

from models.export.bundle import write_bundle  # noqa: E402

EMBEDDED = Path(__file__).resolve().parents[3] / "models" / "embedded"
subjects: dict[str, Subject] = {}
modules: dict[str, torch.nn.Module] = {}


def subject_named(name: str) -> Subject:
    if name not in subjects:
        subjects[name] = embedded(EMBEDDED) if name == "embedded" else SUBJECTS[name]()
    return subjects[name]


def module_named(name: str) -> torch.nn.Module:
    if name not in modules:
        modules[name] = MODULES[name]()
    return modules[name]


@torch.inference_mode()
def forward(subject: Subject, request: dict[str, Any], tensors: dict[str, Tensor]) -> dict:
    """Captures see what a site passes on before the edits there, as the native hooks do."""
    for edit in request["edits"]:
        if isinstance(edit.get("source"), str):
            edit["source"] = tensors[edit["source"]]
    found: dict[str, Tensor] = {}
    inputs = [tensors[each["name"]] for each in subject.inputs]
    setting = {name: request.get(name) for name in ("weights", "activations")}
    with (
        quantised(subject.module, request.get("quantised", []), setting),
        captured(subject, request["captures"], found),
        edited(subject, request["edits"]),
    ):
        output = subject.module(*inputs)
    return {"output": output, **found}


def answer(request: dict[str, Any]) -> dict[str, Tensor]:
    tensors = load_file(request["input"]) if "input" in request else {}
    operation = request["op"]
    if operation == "write":
        subject = subject_named(request["subject"])
        out = Path(request["out"])
        write_bundle(subject.module, subject.examples, subject.description, out, dtype="float32")
        return {}
    if operation == "forward":
        return forward(subject_named(request["subject"]), request, tensors)
    if operation == "sample":
        return sample(subject_named(request["subject"]), request, tensors)
    if operation == "script":
        torch.jit.script(module_named(request["name"])).save(request["out"])
        return {}
    if operation == "run":
        module = module_named(request["name"])
        with torch.inference_mode():
            return {"output": module.reference(request.get("options", {}), tensors)}
    if operation in ("export", "generate"):
        # Only here: the pipelines of diffusers take seconds to import.
        import families

        if operation == "generate":
            return families.generate(request, tensors)
        families.export(request["family"], request["variant"], Path(request["out"]))
        return {}
    if operation == "adapter":
        import others

        others.export(request["name"], Path(request["out"]))
        return others.answers(request["name"])
    raise ValueError(f"unknown op {operation!r}")


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            results = answer(request)
            if "output" in request:
                tensors = {name: value.contiguous() for name, value in results.items()}
                save_file(tensors, request["output"])
            reply = {"id": request["id"]}
        except Exception:
            reply = {"id": request["id"], "error": traceback.format_exc()}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
