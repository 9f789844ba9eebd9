"""A small convolutional classifier of Fashion-MNIST: the judge of the generated samples.

    python -m models.classifier --epochs 8 --output build-models

Trains, saves after every epoch, goes on from the saved epoch, and prints the accuracy on the 10 000
real test images. It has never seen a generated image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_checkpoint, save_checkpoint
from models.command_line import parser_of, run_command, whole
from models.fashion_mnist import DEFAULT_FOLDER, LABELS, load_split

CHECKPOINT = "classifier.ckpt"


class Classifier(nn.Sequential):
    """Images [B, 1, 28, 28] in [-1, 1] -> logits [B, 10]; about 0.45 M parameters."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 16), (16, 32)):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        layers += [nn.Flatten(), nn.Dropout(0.4), nn.Linear(64 * 7 * 7, 128), nn.ReLU()]
        layers += [nn.Dropout(0.4), nn.Linear(128, len(LABELS))]
        super().__init__(*layers)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images and move the whole batch by at most two pixels."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    left, top = torch.randint(5, (2,), generator=generator).tolist()
    padded = F.pad(images, (2, 2, 2, 2), value=-1.0)
    return padded[:, :, top : top + 28, left : left + 28]


@torch.inference_mode()
def predict(classifier: nn.Module, images: Tensor, batch_size: int = 500) -> Tensor:
    """The recognised class of each image, [N] int64."""
    return torch.cat([classifier(part).argmax(1) for part in images.split(batch_size)])


def train_classifier(
    images: Tensor, labels: Tensor, checkpoint: Path, epochs: int, batch_size: int = 128
) -> Iterator[tuple[int, float]]:
    """Train with AdamW and one cosine cycle, save at `checkpoint`; yields (epoch, mean loss)."""
    torch.manual_seed(0)
    classifier = Classifier()
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=2e-3, weight_decay=0.01)
    batches = len(images) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)
    first = 0
    if saved := load_checkpoint(checkpoint):
        classifier.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["epoch"]
    for epoch in range(first, epochs):
        torch.manual_seed(epoch)  # dropout draws from the global generator
        generator = torch.Generator().manual_seed(epoch)
        total = 0.0
        order = torch.randperm(len(images), generator=generator)
        for chosen in order[: batches * batch_size].split(batch_size):
            logits = classifier(augment(images[chosen], generator))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        state = {
            "model": classifier.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "epoch": epoch + 1,
        }
        save_checkpoint(checkpoint, state)
        yield epoch + 1, total / batches


def load_classifier(checkpoint: Path) -> Classifier:
    """The trained classifier, in evaluation mode."""
    saved = load_checkpoint(checkpoint)
    if saved is None:
        raise FileNotFoundError(
            f"{checkpoint} not found: train first (python -m models.classifier)"
        )
    classifier = Classifier()
    classifier.load_state_dict(saved["model"])
    return classifier.eval().requires_grad_(False)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument(
        "--output", type=Path, default=Path("build-models"), help="folder of the checkpoint"
    )
    parser.add_argument("--epochs", type=whole(1), default=8, help="over the training images")
    arguments = parser.parse_args()
    checkpoint = arguments.output / CHECKPOINT
    images, labels = load_split(arguments.data, "train")
    for epoch, loss in train_classifier(images, labels, checkpoint, arguments.epochs):
        print(f"epoch {epoch}  loss {loss:.4f}", flush=True)
    images, labels = load_split(arguments.data, "test")
    accuracy = (predict(load_classifier(checkpoint), images) == labels).float().mean().item()
    print(f"accuracy on {len(labels)} real test images: {accuracy:.4f}")


if __name__ == "__main__":
    run_command(main)
