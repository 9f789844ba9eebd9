"""Tokenizers as they were published: spiece.model alone, without tokenizer.json."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pipelines
import pytest
import sentencepiece
from tokenizers import Tokenizer

from models.export.errors import ExportError
from models.export.run import export
from models.export.source import open_source

PROMPTS = ["a photo of a cat on a red sofa", "Two  children,\tFLY a kite!", "", "naïve café 12½"]
SIZE = 120


@pytest.fixture(scope="module")
def spiece() -> bytes:
    """A small model of SentencePiece with T5's own tokens: <pad> 0, </s> 1, <unk> 2."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(pipelines.CORPUS * 20),
        model_writer=model,
        vocab_size=SIZE,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


@pytest.fixture
def checkpoint(tmp_path, spiece) -> Path:
    """PixArt as published: the tokenizer's folder has no tokenizer.json."""
    folder = pipelines.save("pixart", tmp_path / "checkpoint", "sigma")
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(spiece)
    config = {
        "tokenizer_class": "T5Tokenizer",
        "extra_ids": 0,
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "model_max_length": 512,
        "legacy": True,
    }
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_sentencepiece_model_alone_becomes_the_same_tokenizer(checkpoint, spiece, tmp_path):
    manifest = export(open_source(str(checkpoint)), tmp_path / "bundle")
    rules = manifest["textEncoders"]["text_encoder"]["tokenizer"]
    assert (rules["padId"], rules["endId"]) == (0, 1)
    found = Tokenizer.from_file(str(tmp_path / "bundle" / rules["file"]))
    truth = sentencepiece.SentencePieceProcessor(model_proto=spiece)
    for prompt in PROMPTS:
        assert found.encode(prompt).ids == [*truth.encode(prompt), 1], prompt


def test_a_sentencepiece_model_that_is_damaged_is_told_with_its_own_reason(checkpoint, tmp_path):
    path = checkpoint / "tokenizer" / "spiece.model"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ExportError) as caught:
        export(open_source(str(checkpoint)), tmp_path / "bundle")
    assert caught.value.code == "CHECKPOINT_DAMAGED"
    assert "spiece.model is no model of SentencePiece" in str(caught.value)
