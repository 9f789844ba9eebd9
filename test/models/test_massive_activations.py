"""The rule finds planted channels, none in a random model, and tells stable from unstable."""

from __future__ import annotations

import pytest
import torch

from models.massive_activations import (
    jaccard,
    massive_channels,
    measure,
    report,
    stability,
    strengths,
)


def measured(model):
    return measure(model, (1, 28, 28), num_classes=3, seeds=(0, 1), steps=4)


def plant(model, channels: dict[int, float]) -> None:
    """Add a constant to channels of the first block's output, as an MLP's bias and gate would."""

    def add(module, args, output):
        output = output.clone()
        for channel, value in channels.items():
            output[..., channel] += value
        return output

    model.blocks[0].register_forward_hook(add)


def test_a_random_model_has_none(tiny):
    record = report(measured(tiny))
    assert [block["channels"] for block in record["blocks"]] == [[], [], []]


def test_planted_channels_are_found_in_their_order_in_every_later_block(tiny):
    scale = measured(tiny).means.mean().item()
    plant(tiny, {7: 20 * scale, 40: -30 * scale})
    record = report(measured(tiny))
    for block in record["blocks"]:
        assert block["channels"] == [40, 7]
        assert block["stability"] == {"acrossClasses": 1.0, "acrossSeeds": 1.0}
        assert block["strongest"]["channels"][:2] == [40, 7]


def test_the_record_has_one_row_per_timestep(tiny):
    record = report(measured(tiny))
    assert record["timesteps"] == [1.0, 0.75, 0.5, 0.25]
    for layer, block in enumerate(record["blocks"]):
        assert block["layer"] == layer
        assert len(block["maximum"]) == len(block["median"]) == 4
        assert [len(row) for row in block["channelMeans"]] == [64] * 4
        pairs = zip(block["maximum"], block["median"], strict=True)
        assert all(most > middle > 0 for most, middle in pairs)


def test_the_hooks_are_gone_after_measuring(tiny):
    measured(tiny)
    assert all(not block._forward_hooks for block in tiny.blocks)


def test_strength_is_relative_to_the_median_channel():
    assert strengths(torch.tensor([1.0, 2.0, 30.0])).tolist() == [0.5, 1.0, 15.0]


def test_a_channel_must_be_massive_at_half_of_the_timesteps():
    means = torch.ones(4, 9)
    means[:2, 3] = 10
    means[:1, 5] = 100
    assert massive_channels(means) == [3]


def test_jaccard_is_the_mean_over_pairs():
    assert jaccard([[1, 2], [1, 2]]) == 1
    assert jaccard([[1, 2], [2, 3], []]) == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert jaccard([[], []]) == 1


def test_a_set_that_changes_with_the_class_is_unstable():
    means = torch.ones(2, 4, 9)
    means[:, :2, 0] = 50
    means[:, 2:, 1] = 50
    assert stability(means, [0, 0, 1, 1], 1) == 0
    assert stability(means, [0, 1, 0, 1], 2) == 1
