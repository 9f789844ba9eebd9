"""What is measured while a model is trained, and the page that is made of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

from models.claims import difference, refuse_other_results, rows, settings, tables
from models.growth import MatchedEdit, growth_steps, matched_channels, measure_checkpoint
from models.growth_page import Run, draw, page, settled
from models.guided_sampling import Edit
from models.picture_quality import (
    Judge,
    frechet_distance,
    high_shares,
    precision_recall,
    signal_to_noise,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_frechet_distance_is_that_of_scipy():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(200, 6, generator=generator)
    other = torch.randn(150, 6, generator=generator) * torch.arange(1, 7) + 0.5
    first, second = one.double().numpy(), other.double().numpy()
    root = scipy.linalg.sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    apart = first.mean(0) - second.mean(0)
    expected = apart @ apart + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_precision_and_recall_of_half_a_set():
    real = torch.cat([torch.randn(100, 4), torch.randn(100, 4) + 100])
    precision, recall = precision_recall(real[:100] + 1e-4, real)
    assert precision > 0.95
    assert recall == pytest.approx(0.5, abs=0.05)


def test_high_frequencies_are_those_above_a_quarter_of_a_cycle_per_pixel():
    places = torch.arange(28)
    pictures = [torch.cos(2 * torch.pi * f * places).expand(28, 28) for f in (0.1, 0.4)]
    slow, fast = high_shares(torch.stack(pictures)[:, None]).tolist()
    assert slow < 0.01 and fast > 0.99
    low, high = signal_to_noise(
        torch.stack(pictures)[:1, None] + 0.1 * pictures[1], torch.stack(pictures)[:1, None]
    )
    # The error lies in the fast wave: the low band hardly sees it.
    assert low > high + 20


def test_matched_channels_move_as_much_as_the_massive_ones():
    hidden = torch.randn(2, 5, 16)
    massive = Edit(0, [1, 2]).apply(hidden)
    matched = MatchedEdit(0, [7, 9], [1, 2]).apply(hidden)
    wanted = (massive - hidden).norm(dim=-1)
    assert torch.allclose((matched - hidden).norm(dim=-1), wanted, atol=1e-5)
    changed = (matched != hidden).any(0).any(0).nonzero().flatten().tolist()
    assert changed == [7, 9]


def test_the_control_is_drawn_from_the_middle_of_the_ranking():
    means = torch.arange(16.0)[None].repeat(3, 1) + 1
    drawn = matched_channels(means, [15, 9])
    assert len(drawn) == 2 and set(drawn) <= set(range(4, 12)) - {9}


def test_watched_steps_grow_by_even_ratios():
    assert growth_steps(1000, 1) == {0, 100, 200, 400, 800}
    assert growth_steps(300, 2) == {0, 100, 141, 200, 283}


def test_a_checkpoint_is_measured_whole(tiny):
    real = torch.rand(40, 1, 28, 28) * 2 - 1
    judge = Judge.load(ROOT / "models" / "embedded", real, torch.device("cpu"))
    test = (real[:4], torch.arange(4))
    record, pictures = measure_checkpoint(tiny, judge, test, 10, 10, seeds=(0,))
    assert pictures.shape == (4, 10, 1, 28, 28)
    assert [len(record["blocks"]), len(record["squaredErrors"])] == [3, 10]
    assert [each["scale"] for each in record["quality"]] == [1.0, 2.0, 4.0]
    for block in record["blocks"]:
        assert len(block["strength"]) == len(block["magnitude"]) == 10
        assert block["disrupted"] == (block["massive"] or block["strongest"][:3])
        assert set(block["disruption"]) == {"massive", "matched"}
        shares = block["explained"]
        assert 0 <= shares["timestep"] <= 1 and shares["seed"] == 0
    json.dumps(record, allow_nan=False)


def test_a_set_is_settled_from_where_it_stays():
    assert settled([1, 2, 3, 4], [0.9, 0.1, 0.8, 1.0], 0.8) == 3
    assert settled([1, 2], [0.9, 0.1], 0.8) is None
    # One measurement tells of no staying.
    assert settled([1, 2, 3], [0.9, 0.1, 0.8], 0.8) is None


def test_the_page_is_what_its_command_makes():
    logs = [Path("docs/growth") / f"{name}.jsonl" for name in ("small", "long", "fine")]
    runs = [Run.read(ROOT / log) for log in logs]
    assert page(runs, logs) == (ROOT / "docs" / "growth.md").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}\n", "bad.jsonl, line 1: expected a record of models.train"),
        ('{"kind": "options"}\nno JSON\n', "bad.jsonl, line 2: .* got 'no JSON'"),
        ('{"kind": "growth", "step": 0}\n', "bad.jsonl has no record of kind growth after step 0"),
        ('{"kind": "growth", "step": 9}\n', "bad.jsonl has no record of kind options"),
    ],
)
def test_a_log_that_makes_no_page_is_named(tmp_path, content, message):
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        Run.read(tmp_path / "bad.jsonl")


def test_the_figure_shows_each_run_in_a_column(tmp_path):
    runs = [
        Run.read(ROOT / "docs" / "growth" / f"{name}.jsonl") for name in ("small", "long", "fine")
    ]
    draw(runs, tmp_path / "growth.png")
    assert [each.name for each in tmp_path.iterdir()] == ["growth.png"]
    with Image.open(tmp_path / "growth.png") as drawn:
        assert drawn.size == (1404, 1170)


def test_what_the_figure_shows_is_there_where_matplotlib_is_not(tmp_path, monkeypatch):
    run = Run.read(ROOT / "docs" / "growth" / "small.jsonl")
    curves: list[list[float]] = []

    stand_in, figure = MagicMock(), MagicMock()
    axes = np.empty((4, 1), dtype=object)
    for row in range(4):
        axes[row, 0] = MagicMock()
        axes[row, 0].plot = lambda steps, values, **style: curves.append(values)
    stand_in.pyplot.subplots.return_value = (figure, axes)
    figure.savefig = lambda path, **style: path.write_bytes(b"png")
    monkeypatch.setitem(sys.modules, "matplotlib", stand_in)
    draw([run], tmp_path / "growth.png")
    assert len(curves) == 5 * run.layers
    agreement = run.agreement(0, "massive")
    assert agreement in curves and agreement[-1] == 1
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="needs matplotlib"):
        draw([run], tmp_path / "growth.png")


def test_results_of_other_settings_are_not_put_into_one_table(tmp_path):
    name = "s1-layer5-w0.3-rho0.json"
    result = json.loads((ROOT / "docs" / "claims" / name).read_text())
    (tmp_path / name).write_text(json.dumps(result))
    refuse_other_results(tmp_path, ROOT / "models" / "embedded", 5000, 10)
    with pytest.raises(ValueError, match="'steps': 20.*'steps': 10"):
        refuse_other_results(tmp_path, ROOT / "models" / "embedded", 5000, 20)
    (tmp_path / "s2-layer5-w0.3-rho0.json").write_text(json.dumps(result | {"samples": 100}))
    with pytest.raises(ValueError, match="samples"):
        tables(tmp_path)
    assert "over 5000 images" in tables(ROOT / "docs" / "claims")


def test_every_row_of_the_claims_has_its_baseline_and_its_control():
    files = settings([[layer, 9] for layer in range(8)])
    assert len(files) == len(list(rows(8))) == 23
    baseline, massive, matched = files["s4-layer3-w0.3-rho0"]
    assert baseline["guidance"] == {"classifierFree": {"scale": 4.0}}
    assert massive["guidance"]["detail"]["channels"] == [3, 9]
    control = matched["guidance"]["detail"].pop("control")
    assert control == {"kind": "matched-channels", "seed": 0}
    assert matched["guidance"] == massive["guidance"]


def test_differences_are_paired_over_the_groups_that_are_left_out():
    one = {"frechet": {"distance": 5.0, "withoutGroups": [5.1, 4.9, 5.3]}}
    other = {"frechet": {"distance": 6.0, "withoutGroups": [6.1, 5.9, 6.3]}}
    assert difference(one, other) == "−1.000 ± 0.000"
