"""The DiT: shapes, adaLN-zero, conditioning."""

from __future__ import annotations

import math

import pytest
import torch

from models.diffusion_transformer import (
    PRESETS,
    Block,
    DiffusionTransformer,
    TransformerConfig,
    timestep_embedding,
)


def test_prediction_has_the_shape_of_the_sample(tiny, inputs):
    assert tiny(*inputs).shape == (3, 1, 28, 28)


def test_hidden_states_are_tokens_by_channels(tiny, inputs):
    shapes = []
    for block in tiny.blocks:
        block.register_forward_hook(lambda module, args, output: shapes.append(output.shape))
    tiny(*inputs)
    assert shapes == [(3, 49, 64)] * 3


def test_a_block_with_zero_modulation_is_the_identity():
    block = Block(width=64, heads=2, mlp_ratio=4)
    torch.nn.init.zeros_(block.modulation.weight)
    torch.nn.init.zeros_(block.modulation.bias)
    x = torch.randn(2, 49, 64)
    assert torch.equal(block(x, torch.randn(2, 64)), x)


def test_a_new_model_predicts_zero_and_passes_the_embedding_through(inputs):
    model = DiffusionTransformer(PRESETS["tiny"])
    hidden = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, output: hidden.append((args[0], output)))
    assert torch.equal(model(*inputs), torch.zeros(3, 1, 28, 28))
    assert all(torch.equal(before, after) for before, after in hidden)


def test_rows_do_not_depend_on_each_other(tiny, inputs):
    together = tiny(*inputs)
    alone = tiny(*(value[1:2] for value in inputs))
    assert torch.allclose(together[1:2], alone, atol=1e-6)


@pytest.mark.parametrize("changed", [1, 2])
def test_timestep_and_class_matter(tiny, inputs, changed):
    others = list(inputs)
    others[changed] = others[changed].roll(1)
    assert not torch.allclose(tiny(*inputs), tiny(*others), atol=1e-4)


def test_timestep_embedding_is_the_sinusoid_of_the_paper():
    t = torch.tensor([0.25, 1.0])
    embedded = timestep_embedding(t, 8)
    for row, value in enumerate(t.tolist()):
        angles = [1000 * value * 10000 ** (-i / 4) for i in range(4)]
        expected = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        assert embedded[row].tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_geometry_can_be_read_off_the_weights(preset):
    with torch.device("meta"):
        weights = DiffusionTransformer(PRESETS[preset]).state_dict()
    assert TransformerConfig.from_weights(weights) == PRESETS[preset]


def test_the_embedded_model_has_two_and_a_half_million_parameters():
    with torch.device("meta"):
        model = DiffusionTransformer(PRESETS["small"])
    assert 2.3e6 < sum(p.numel() for p in model.parameters()) < 2.7e6
