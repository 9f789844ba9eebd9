"""How good pictures are: recognised or not, and how far from the real ones, on the pictures' device.

The features are those of the bundle's classifier before its last layer, so the distances are no FID
(`classifier_features.py`). The figures are those of `detail-guidance evaluate`, for use while a
model is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.classifier_features import eager_judge, feature_network

# Cycles per pixel, where high frequencies begin.
CUTOFF = 0.25


@torch.inference_mode()
def in_parts(network: nn.Module, pictures: Tensor, size: int = 1000) -> Tensor:
    return torch.cat([network(part) for part in pictures.split(size)])


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^.5 S2 S1^.5)^.5) of features [N, D] (arXiv 1706.08500)."""
    (mean1, covariance1), (mean2, covariance2) = moments(one), moments(other)
    values, vectors = torch.linalg.eigh(covariance1)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp_min(0).sqrt().sum()
    apart = (mean1 - mean2).square().sum()
    return (apart + covariance1.trace() + covariance2.trace() - 2 * shared).item()


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float64; small enough that the CPU is the better place."""
    features = features.double()
    return features.mean(0).cpu(), features.T.cov().cpu()


def precision_recall(generated: Tensor, real: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Shares of each set on the manifold of the other (arXiv 1904.06991); 5 000 at most of each."""
    generated, real = generated[:5000], real[:5000]

    def covered(points: Tensor, manifold: Tensor) -> float:
        within = torch.cdist(manifold, manifold)
        radii = within.kthvalue(neighbours + 1, dim=1).values
        return (torch.cdist(points, manifold) <= radii).any(1).float().mean().item()

    return covered(generated, real), covered(real, generated)


def high_shares(pictures: Tensor) -> Tensor:
    """[N]: the share of each picture's energy above CUTOFF, without that of its mean."""
    height, width = pictures.shape[-2:]

    def hann(length: int) -> Tensor:
        places = torch.arange(1, length + 1, device=pictures.device)
        return torch.sin(math.pi * places / (length + 1)).square()

    values = (pictures[:, 0] + 1) / 2
    values = (values - values.mean((1, 2), keepdim=True)) * hann(height)[:, None] * hann(width)
    size = tuple(1 << (length - 1).bit_length() for length in (height, width))
    power = torch.fft.fft2(values, s=size).abs().square()
    power[:, 0, 0] = 0
    frequency = radial_frequency(*size, device=pictures.device)
    total = power.sum((1, 2))
    share = power[:, frequency > CUTOFF].sum(1) / total
    return torch.where(total > 0, share, torch.zeros_like(share))


def radial_frequency(height: int, width: int, device: torch.device) -> Tensor:
    """Cycles per pixel of each place of a transform, [height, width]."""
    vertical = torch.fft.fftfreq(height, device=device)
    horizontal = torch.fft.fftfreq(width, device=device)
    return torch.hypot(vertical[:, None], horizontal[None])


def signal_to_noise(pictures: Tensor, undisturbed: Tensor) -> tuple[float, float]:
    """Of the low and the high band, in dB: the variance of the undisturbed by the squared error.

    The low band is a Gaussian whose transfer is one half at CUTOFF, the high band the rest.
    """
    frequency = radial_frequency(*pictures.shape[-2:], device=pictures.device)
    low = 0.5 ** (frequency / CUTOFF).square()

    def band(values: Tensor, transfer: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(values) * transfer).real

    ratios = []
    for transfer in (low, 1 - low):
        signal = band(undisturbed, transfer)
        error = band(pictures, transfer) - signal
        variance = signal.var((1, 2, 3), correction=0).mean()
        ratios.append(10 * torch.log10(variance / error.square().mean().clamp_min(1e-12)).item())
    return ratios[0], ratios[1]


@dataclass
class Judge:
    """The classifier, its features, and the features of the real test pictures."""

    classifier: nn.Module
    features: nn.Module
    real: Tensor  # [N, D]

    @classmethod
    def load(cls, bundle: Path, real: Tensor, device: torch.device) -> Judge:
        """The judge of `bundle`; real: [N, 1, 28, 28] in [-1, 1]."""
        classifier = eager_judge(bundle).to(device)
        features = feature_network(classifier)
        return cls(classifier, features, in_parts(features, real.to(device)))

    def recognised(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """[N] bool: the classifier names the class that was asked for."""
        return in_parts(self.classifier, pictures).argmax(1) == labels

    def report(self, samples: Tensor, labels: Tensor, manifold: bool = False) -> dict:
        """All figures of samples as the sampler leaves them, before they are cut to [-1, 1]."""
        pictures = samples.clamp(-1, 1)
        recognised = self.recognised(pictures, labels).float()
        features = in_parts(self.features, pictures)
        classes = range(int(labels.max()) + 1)
        # Burnt: cut away at both ends by more than rounding.
        cut = (samples.abs() > 1.02).float().mean((1, 2, 3))
        figures = {
            "samples": len(samples),
            "recognised": round(recognised.mean().item(), 4),
            "recognisedByClass": [
                round(recognised[labels == each].mean().item(), 3) for each in classes
            ],
            "frechetDistance": round(frechet_distance(features, self.real), 3),
            "high": round(high_shares(pictures).mean().item(), 4),
            "cut": round(cut.mean().item(), 4),
            "cutByClass": [round(cut[labels == each].mean().item(), 3) for each in classes],
        }
        if manifold:
            precision, recall = precision_recall(features, self.real)
            figures |= {"precision": round(precision, 3), "recall": round(recall, 3)}
        return figures
