"""Edits, branches and Euler steps of the reference."""

from __future__ import annotations

import pytest
import torch

from models.contact_sheet import parse_column
from models.diffusion_transformer import PRESETS
from models.guided_sampling import (
    Branch,
    Edit,
    disrupted,
    flow_sigmas,
    guidance_branches,
    sample,
    seeded_latents,
)


def test_an_edit_scales_the_chosen_channels_of_the_chosen_tokens():
    hidden = torch.ones(2, 4, 3)
    edited = Edit(0, channels=[1], tokens=[0, 3], retention=0.25).apply(hidden)
    expected = torch.ones(2, 4, 3)
    expected[:, [0, 3], 1] = 0.25
    assert torch.equal(edited, expected)
    assert torch.equal(hidden, torch.ones(2, 4, 3))


def test_retention_may_differ_by_step():
    edit = Edit(0, retention=[0.0, 0.5])
    assert edit.apply(torch.ones(1, 1, 1), step=1).item() == 0.5


def test_an_edit_outside_the_hidden_state_is_an_error():
    with pytest.raises(IndexError):
        Edit(0, channels=[3]).apply(torch.ones(1, 2, 3))


def test_hooks_are_gone_afterwards_even_when_the_model_fails(tiny, inputs):
    with pytest.raises(IndexError), disrupted(tiny.blocks, [Edit(1, channels=[64])]):
        tiny(*inputs)
    assert all(not block._forward_hooks for block in tiny.blocks)


def test_disrupting_changes_the_prediction_and_retention_1_does_not(tiny, inputs):
    clean = tiny(*inputs)
    with disrupted(tiny.blocks, [Edit(1, [0, 5], retention=1.0)]):
        assert torch.equal(tiny(*inputs), clean)
    with disrupted(tiny.blocks, [Edit(1, [0, 5])]):
        assert not torch.allclose(tiny(*inputs), clean, atol=1e-5)


def test_the_weights_are_those_of_cfg_with_detail_guidance():
    edit = Edit(1, [0])
    branches = guidance_branches(2.5, 0.25, edit)
    assert branches == [Branch(2.75), Branch(-1.5, null=True), Branch(-0.25, edits=(edit,))]
    assert guidance_branches(1.0) == [Branch(1.0)]


def test_one_step_is_the_weighted_sum_of_the_branches(tiny, inputs):
    x, _, labels = inputs
    edit = Edit(1, [0, 5])
    found = sample(tiny, x, labels, 10, [0.8, 0.6], guidance_branches(2.0, 0.5, edit))
    t = torch.full((3,), 0.8)
    conditional, null = tiny(x, t, labels), tiny(x, t, torch.full_like(labels, 10))
    with disrupted(tiny.blocks, [edit]):
        degraded = tiny(x, t, labels)
    velocity = conditional + (conditional - null) + 0.5 * (conditional - degraded)
    assert torch.allclose(found, x - 0.2 * velocity, atol=1e-5)


def test_euler_follows_a_constant_velocity_to_the_end():
    class Constant(torch.nn.Module):
        blocks = torch.nn.ModuleList()

        def forward(self, x, t, label):
            return torch.full_like(x, 2.0)

    x = torch.randn(1, 1, 2, 2)
    found = sample(Constant(), x, torch.tensor([0]), 10, flow_sigmas(7), [Branch(1.0)])
    assert torch.allclose(found, x - 2.0, atol=1e-5)


def test_latents_do_not_depend_on_the_batch():
    assert torch.equal(seeded_latents([4, 5], (1, 2, 2))[1:], seeded_latents([5], (1, 2, 2)))


@pytest.mark.parametrize(
    "text", ["bad", "s=x", "layer=one", "layer=3", "channels=1-2", "channels=64", "scale=2"]
)
def test_a_column_of_a_sheet_that_cannot_be_read_is_named(text):
    with pytest.raises(ValueError, match=f"--column {text}: expected settings as s=1,w=0.3"):
        parse_column(text, Edit(1, [2]), PRESETS["tiny"])
    assert parse_column("w=1,layer=2", Edit(1, [2]), PRESETS["tiny"])[1].edits == (Edit(2, [2]),)
