"""The measure behind `dtype: 'auto'`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from models.export.bundle import read_manifest
from models.precision import PRECISIONS, InPrecision, measure, measure_psnr, psnr
from models.trained import load_transformer

EMBEDDED = Path(__file__).parents[2] / "models" / "embedded"


def test_psnr_is_that_of_its_definition():
    reference = torch.zeros(2, 1, 4, 4)
    assert psnr(reference + 0.02, reference, (-1, 1)) == pytest.approx(40)
    assert psnr(reference, reference, (-1, 1)) == math.inf
    assert psnr(reference + math.nan, reference, (-1, 1)) == 0


def test_values_beyond_the_range_are_clipped_as_in_a_picture():
    assert psnr(torch.full((1, 4), 3.0), torch.full((1, 4), 1.5), (-1, 1)) == math.inf


def test_each_precision_is_measured_against_float32():
    values = {torch.float32: 0.5, torch.bfloat16: 0.7, torch.float16: 0.502}
    found = measure_psnr(lambda dtype: torch.full((1, 8), values[dtype]), (-1, 1))
    assert found == {"bfloat16": 20.0, "float16": 60.0}


def test_the_state_stays_float32_around_a_model_in_16_bits(tiny, inputs):
    wrapped = InPrecision(tiny, torch.bfloat16)
    prediction = wrapped(*inputs)
    assert prediction.dtype == torch.float32
    assert not torch.equal(prediction, tiny(*inputs))
    assert next(tiny.parameters()).dtype == torch.float32


def test_the_embedded_bundle_says_what_two_of_its_pictures_show():
    manifest = read_manifest(EMBEDDED)
    assert set(manifest["transformer"]["psnr"]) == set(PRECISIONS)
    found = measure(load_transformer(EMBEDDED), manifest, pictures=2)
    for name, decibels in json.loads(json.dumps(found)).items():
        assert decibels == pytest.approx(manifest["transformer"]["psnr"][name], abs=8)
