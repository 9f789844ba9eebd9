"""The closed list of operators: that it is read as the native side reads it, and that it has what we export."""

from pathlib import Path

import torch

from models.operators import LIST, allowed_operators, uses

EMBEDDED = Path(__file__).resolve().parents[2] / "models" / "embedded"


def test_every_name_on_the_list_is_an_operator_of_this_torch():
    known = {
        schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        for schema in torch._C._jit_get_all_schemas()
    }
    assert allowed_operators() - known == set()
    assert len(LIST.read_text().splitlines()) > 100


def test_nothing_on_the_list_writes_into_what_it_is_given_as_out():
    assert [name for name in allowed_operators() if name.endswith((".out", "_out"))] == []


def test_the_embedded_models_use_what_is_on_it():
    found = uses(sorted(EMBEDDED.glob("*.pt")))
    assert "aten::scaled_dot_product_attention" in found
    assert set(found) - allowed_operators() == set()


def test_what_is_not_on_it_is_named(tmp_path):
    class Uninitialised(torch.nn.Module):
        def forward(self, x):
            return x + torch.empty_like(x)

    torch.jit.script(Uninitialised()).save(str(tmp_path / "m.pt"))
    assert set(uses([tmp_path / "m.pt"])) - allowed_operators() == {"aten::empty_like"}
