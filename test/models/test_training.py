"""Training: resuming equals not having stopped; the schedule ends at zero; the data is read."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import signal
from pathlib import Path

import pytest
import torch

from models import classifier
from models.checkpoint import load_checkpoint
from models.command_line import run_command
from models.diffusion_transformer import PRESETS, DiffusionTransformer
from models.export.errors import ExportError
from models.fashion_mnist import load_split, read_idx
from models.train import arguments_of, load_average, main, save_average, train
from models.training_log import TrainingLog
from models.training_options import TrainingOptions
from models.training_step import TrainingStep

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data():
    torch.manual_seed(0)
    return torch.rand(40, 1, 28, 28) * 2 - 1, torch.arange(40) % 10


def options(**changes):
    return TrainingOptions(
        **{"steps": 6, "batch_size": 4, "warmup_steps": 2, "report_every": 1, **changes}
    )


def records_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture
def command(tmp_path):
    """`python -m models.train` of the tiny model on forty pictures, in `<tmp_path>/run`."""
    pixels = torch.randint(256, (40 * 784,), generator=torch.Generator().manual_seed(0))
    for prefix in ("train", "t10k"):
        images = tmp_path / f"{prefix}-images-idx3-ubyte.gz"
        write_idx(images, (40, 28, 28), bytes(pixels.tolist()))
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", (40,), bytes(range(10)) * 4)
    words = f"--preset tiny --data {tmp_path} --output {tmp_path / 'run'} --batch-size 4 --steps 3"
    words += f" --judge {ROOT / 'models' / 'embedded'} --watch-samples 0 --final-samples 20"
    return lambda more="": main(f"{words} {more}".split())


def losses_of(progress):
    return [at.loss for at in progress if not math.isnan(at.loss)]


def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path):
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    losses = losses_of(train(PRESETS["tiny"], options(), *data, straight))
    interrupted = train(PRESETS["tiny"], options(save_every=3), *data, resumed)
    first = [next(interrupted).loss for _ in range(4)]  # saved after 3, lost the fourth
    rest = losses_of(train(PRESETS["tiny"], options(), *data, resumed))
    assert len(losses) == 6
    assert first + rest[1:] == losses
    one, other = load_checkpoint(straight), load_checkpoint(resumed)
    for part in ("model", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch_size": 8}, {"ema_decay": 0.5}])
def test_a_run_does_not_go_on_as_another(data, tmp_path, change):
    checkpoint = tmp_path / "a.ckpt"
    losses_of(train(PRESETS["tiny"], options(steps=3), *data, checkpoint))
    with pytest.raises(ValueError, match=f"{next(iter(change))}: .* there, .* asked for"):
        losses_of(train(PRESETS["tiny"], options(**change), *data, checkpoint))
    losses_of(train(PRESETS["tiny"], options(steps=4, save_every=1), *data, checkpoint))


def test_the_loss_falls(data, tmp_path):
    quick = options(steps=40, learning_rate=3e-3)
    losses = losses_of(train(PRESETS["tiny"], quick, *data, tmp_path / "a.ckpt"))
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_the_average_is_a_model_ready_to_use(data, tmp_path):
    list(train(PRESETS["tiny"], options(steps=2), *data, tmp_path / "a.ckpt"))
    model, record = load_average(tmp_path / "a.ckpt")
    assert record["step"] == 2 and not model.training
    assert model.config == PRESETS["tiny"]


def test_a_run_that_is_told_to_stop_saves_and_goes_on(data, tmp_path):
    straight, resumed = tmp_path / "straight.ckpt", tmp_path / "resumed.ckpt"
    losses = losses_of(train(PRESETS["tiny"], options(), *data, straight))
    asked = iter([False, True])
    first = train(PRESETS["tiny"], options(), *data, resumed, stopped=lambda: next(asked))
    assert losses_of(first) == losses[:1]
    assert load_checkpoint(resumed)["step"] == 1
    assert losses_of(train(PRESETS["tiny"], options(), *data, resumed)) == losses[1:]


def test_a_watched_step_where_a_run_was_stopped_is_watched_by_the_next(data, tmp_path):
    asked = iter([False, False, True])
    checkpoint, watched = tmp_path / "a.ckpt", frozenset({0, 2})
    first = train(PRESETS["tiny"], options(), *data, checkpoint, watched, lambda: next(asked))
    assert [at.step for at in first] == [0, 1, 2]
    second = train(PRESETS["tiny"], options(steps=3), *data, checkpoint, watched)
    assert [(at.step, at.ended) for at in second] == [(2, False), (3, False), (3, True)]


def test_watched_steps_are_reported_with_the_mean_loss_since_the_last_report(data, tmp_path):
    losses = losses_of(train(PRESETS["tiny"], options(), *data, tmp_path / "a.ckpt"))
    seldom = options(report_every=100)
    watched = train(PRESETS["tiny"], seldom, *data, tmp_path / "b.ckpt", frozenset({0, 4}))
    found = [(at.step, at.ended, at.loss) for at in watched]
    assert [each[:2] for each in found] == [(0, False), (4, False), (6, True)]
    assert found[1][2] == pytest.approx(sum(losses[:4]) / 4)
    assert found[2][2] == pytest.approx(sum(losses[4:]) / 2)


def test_garments_that_look_alike_both_ways_are_mirrored_and_shoes_never(tmp_path):
    images = torch.full((20, 1, 28, 28), -1.0)
    images[..., :14] = 1.0  # bright on the left
    labels = torch.arange(20) % 10
    sides = {}
    for mirror in (True, False):
        step = TrainingStep(PRESETS["tiny"], options(batch_size=200, mirror=mirror), images, labels)
        step.chosen.copy_(torch.arange(200) % 20)
        step.mirroring.copy_(torch.rand(200, generator=torch.Generator().manual_seed(0)))
        shown, named = step.batch()
        on_left = shown[:, 0, 0, 0] > 0
        sides[mirror] = [on_left[named == label].float().mean().item() for label in range(10)]
    assert sides[False] == [1.0] * 10
    assert [label for label in range(10) if sides[True][label] == 1.0] == [5, 7, 9]


def test_saved_averages_are_what_the_run_had(data, tmp_path):
    last = list(train(PRESETS["tiny"], options(steps=2), *data, tmp_path / "a.ckpt"))[-1]
    save_average(tmp_path / "average.ckpt", last.average, last.step, last.seconds, torch.float32)
    one, _ = load_average(tmp_path / "a.ckpt")
    other, record = load_average(tmp_path / "average.ckpt")
    assert record["step"] == 2
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_a_log_goes_on_from_the_checkpoint(data, tmp_path):
    judge = ROOT / "models" / "embedded"

    def opened(first):
        return TrainingLog(tmp_path, judge, data, torch.device("cpu"), 0, first)

    log = opened(None)
    for step in (100, 200, 300):
        log.write({"kind": "loss", "step": step, "loss": float("nan")})
    log.write({"kind": "final", "step": 200})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "loss", "st')  # killed while it wrote
    opened(200)
    kept = records_of(tmp_path)
    assert [record["step"] for record in kept] == [100, 200, 200]
    assert kept[0]["loss"] is None
    opened(None)
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_a_call_that_is_refused_changes_nothing(command, tmp_path):
    command()
    before = contents(tmp_path / "run")
    assert [each["kind"] for each in records_of(tmp_path / "run")].count("final") == 3
    for refused in ("--seed 1", "--preset small"):
        with pytest.raises(ValueError, match="of another training"):
            command(refused)
    for missing in ("--judge", "--data"):
        with pytest.raises(FileNotFoundError):
            command(f"{missing} {tmp_path / 'none'}")
    assert contents(tmp_path / "run") == before


def test_the_last_figures_stay_until_there_are_others(command, tmp_path):
    def finals():
        return [each["step"] for each in records_of(tmp_path / "run") if each["kind"] == "final"]

    command()
    command("--steps 4 --final-samples 0")
    assert finals() == [3, 3, 3]
    command("--steps 5")
    assert finals() == [5, 5, 5]


def test_a_measurement_stops_for_a_signal_and_is_made_by_the_next_run(
    command, tmp_path, monkeypatch, capsys
):
    calls = []

    def interrupted(*inputs):
        # On the tenth evaluation of the model that the first step measures.
        calls.append(inputs)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGTERM)
            handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
            assert handlers == [signal.SIG_DFL] * 2
        return forward(*inputs)

    before = signal.getsignal(signal.SIGTERM)
    forward = DiffusionTransformer.forward
    monkeypatch.setattr(DiffusionTransformer, "forward", interrupted)
    command("--watch-samples 10")
    assert len(calls) == 10 and signal.getsignal(signal.SIGTERM) is before
    assert "measuring step 0 by 10 samples; Ctrl-C stops" in capsys.readouterr().out
    run = tmp_path / "run"
    assert load_checkpoint(run / "transformer.ckpt")["step"] == 0
    assert [each["kind"] for each in records_of(run)] == ["options"]

    monkeypatch.setattr(DiffusionTransformer, "forward", forward)
    command("--watch-samples 10")
    kinds = [each["kind"] for each in records_of(run)]
    assert kinds == ["options", "options", "growth", "loss", "growth", "final", "final", "final"]


def test_without_a_run_the_error_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="train first"):
        load_average(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", "-3"),
        ("minutes", "0"),
        ("minutes", "nan"),
        ("batch-size", "0"),
        ("learning-rate", "inf"),
        ("warmup-steps", "0"),
        ("label-dropout", "-0.1"),
        ("ema-decay", "2"),
        ("save-every", "0"),
        ("report-every", "0"),
        ("points-per-doubling", "0"),
        ("watch-samples", "-1"),
        ("final-samples", "x"),
        ("precision", "float64"),
        ("compile", "maybe"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(option, value, capsys):
    with pytest.raises(SystemExit) as refused:
        arguments_of([f"--{option}", value])
    assert refused.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument --{option}: " in last and value in last


def test_the_help_has_the_defaults_and_the_choices(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        arguments_of(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainingOptions):
        assert f"{field.metadata['help']} (default: {field.default})" in shown
    assert "--precision {auto,bfloat16,float32}" in shown
    assert vars(arguments_of(["--minutes", "inf"]))["minutes"] == math.inf


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("of another\ntraining"), "ValueError: of another training"),
        (FileNotFoundError("a.ckpt not found"), "FileNotFoundError: a.ckpt not found"),
        (ExportError("BAD_OPTION", "no such dtype"), "BAD_OPTION: no such dtype"),
    ],
)
def test_a_command_ends_with_its_error_in_one_line(error, line, capsys, monkeypatch):
    def fails():
        raise error

    monkeypatch.delenv("DEBUG", raising=False)
    with pytest.raises(SystemExit) as ended:
        run_command(fails)
    assert ended.value.code == 1 and capsys.readouterr().err == line + "\n"
    monkeypatch.setenv("DEBUG", "1")
    with pytest.raises(type(error)):
        run_command(fails)


def test_the_learning_rate_warms_up_and_ends_at_zero_by_steps_or_by_minutes():
    by_steps = TrainingOptions(steps=1000, warmup_steps=100, learning_rate=1.0)
    assert by_steps.learning_rate_at(0, 0) == pytest.approx(0.01)
    assert by_steps.learning_rate_at(500, 0) == pytest.approx(0.5)
    assert by_steps.learning_rate_at(1000, 0) == pytest.approx(0)
    by_minutes = TrainingOptions(minutes=10, warmup_steps=100, learning_rate=1.0)
    assert by_minutes.learning_rate_at(200, 300) == pytest.approx(0.5, abs=1e-3)
    assert by_minutes.learning_rate_at(200, 600) == pytest.approx(0)


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
