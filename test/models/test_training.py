"""Training: resuming equals not having stopped; the schedule ends at zero; the data is read."""

from __future__ import annotations

import gzip

import pytest
import torch

from models import classifier
from models.checkpoint import load_checkpoint
from models.diffusion_transformer import PRESETS
from models.fashion_mnist import load_split, read_idx
from models.train import TrainingOptions, learning_rate, load_average, train


@pytest.fixture
def data():
    torch.manual_seed(0)
    return torch.rand(40, 1, 28, 28) * 2 - 1, torch.arange(40) % 10


def options(**changes):
    return TrainingOptions(**{"steps": 6, "batch_size": 4, "warmup_steps": 2, **changes})


def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path):
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    losses = [loss for _, loss, _ in train(PRESETS["tiny"], options(), *data, straight)]
    interrupted = train(PRESETS["tiny"], options(save_every=3), *data, resumed)
    first = [next(interrupted)[1] for _ in range(4)]  # saved after 3, lost the fourth
    rest = [loss for _, loss, _ in train(PRESETS["tiny"], options(), *data, resumed)]
    assert first + rest[1:] == losses
    one, other = load_checkpoint(straight), load_checkpoint(resumed)
    for part in ("model", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])


def test_the_loss_falls(data, tmp_path):
    quick = options(steps=40, learning_rate=3e-3)
    losses = [loss for _, loss, _ in train(PRESETS["tiny"], quick, *data, tmp_path / "a.ckpt")]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_average_is_a_model_ready_to_use(data, tmp_path):
    list(train(PRESETS["tiny"], options(steps=2), *data, tmp_path / "a.ckpt"))
    model, record = load_average(tmp_path / "a.ckpt")
    assert record["step"] == 2 and not model.training
    assert model.config == PRESETS["tiny"]


def test_without_a_run_the_error_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        load_average(tmp_path / "none.ckpt")


def test_the_learning_rate_warms_up_and_ends_at_zero_by_steps_or_by_minutes():
    by_steps = TrainingOptions(steps=1000, warmup_steps=100, learning_rate=1.0)
    assert learning_rate(by_steps, 0, 0) == pytest.approx(0.01)
    assert learning_rate(by_steps, 500, 0) == pytest.approx(0.5)
    assert learning_rate(by_steps, 1000, 0) == pytest.approx(0)
    by_minutes = TrainingOptions(minutes=10, warmup_steps=100, learning_rate=1.0)
    assert learning_rate(by_minutes, 200, 300) == pytest.approx(0.5, abs=1e-3)
    assert learning_rate(by_minutes, 200, 600) == pytest.approx(0)


def test_the_classifier_resumes_too(data, tmp_path):
    images, labels = data
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    list(classifier.train_classifier(images, labels, straight, epochs=2, batch_size=8))
    next(classifier.train_classifier(images, labels, resumed, epochs=2, batch_size=8))
    list(classifier.train_classifier(images, labels, resumed, epochs=2, batch_size=8))
    one, other = load_checkpoint(straight)["model"], load_checkpoint(resumed)["model"]
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert classifier.predict(classifier.load_classifier(straight), images).shape == (40,)


def write_idx(path, shape, content):
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    path.write_bytes(gzip.compress(b"\x00\x00\x08" + bytes([len(shape)]) + sizes + content))


def test_idx_files_become_images_in_minus_one_to_one(tmp_path):
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", (2, 28, 28), bytes(784) + b"\xff" * 784)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", (2,), bytes([3, 9]))
    images, labels = load_split(tmp_path, "test")
    assert images.shape == (2, 1, 28, 28) and labels.tolist() == [3, 9]
    assert images[0].unique().tolist() == [-1.0] and images[1].unique().tolist() == [1.0]


def test_missing_and_wrong_data_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
        load_split(tmp_path, "train")
    (tmp_path / "other.gz").write_bytes(gzip.compress(b"\x00\x00\x0d\x01rest"))
    with pytest.raises(ValueError, match="not an IDX file"):
        read_idx(tmp_path / "other.gz")
