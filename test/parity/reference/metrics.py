"""The metrics of an evaluation by numpy and scipy, written from the publications, without this package.

    python metrics.py <in.safetensors> <out.safetensors>

In: features `reference` and `generated` [N, d], subsets `subset.<k>.reference` and `.generated` of
their rows, luminances `picture` and `original` [H, W], `planes` [N, H, W] to resize to
`size` [2], a picture `levels` uint8 [H, W, 3] to resize to each of `sizes` [K, 2]. Out, all in
float64: what evaluation.test.ts compares.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

Array = np.ndarray


def frechet_distance(reference: Array, generated: Array) -> float:
    """Heusel et al., arXiv 1706.08500, with the root of the product as such."""
    first, second = np.cov(reference, rowvar=False), np.cov(generated, rowvar=False)
    difference = reference.mean(0) - generated.mean(0)
    root = sqrtm(first @ second).real
    return difference @ difference + np.trace(first + second - 2 * root)


def squared_discrepancy(x: Array, y: Array) -> float:
    """Equation 4 of Bińkowski et al., arXiv 1801.01401."""

    def kernel(a: Array, b: Array) -> Array:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Array) -> float:
        gram = kernel(a, a)
        return (gram.sum() - np.trace(gram)) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def precision_recall(reference: Array, generated: Array, neighbours: int) -> list[float]:
    """Kynkäänniemi et al., arXiv 1904.06991, algorithm 1."""

    def share(manifold: Array, candidates: Array) -> float:
        radii = np.sort(cdist(manifold, manifold), axis=1)[:, neighbours]
        return float((cdist(candidates, manifold) <= radii).any(axis=1).mean())

    return [share(reference, generated), share(generated, reference)]


def spectrum(picture: Array, cutoff: float, padded: Sequence[int]) -> tuple[Array, float]:
    """Mean power in rings, and the share above the cutoff."""

    def window(length: int) -> Array:
        return np.hanning(length + 2)[1:-1]

    weights = np.outer(window(picture.shape[0]), window(picture.shape[1]))
    field = np.fft.fft2((picture - picture.mean()) * weights, s=padded)
    power = np.abs(field) ** 2 / (weights**2).sum()
    distance = np.hypot(np.fft.fftfreq(padded[0])[:, None], np.fft.fftfreq(padded[1])[None])
    power[0, 0] = 0
    rings = min(picture.shape) // 2
    nearest = np.floor(distance * 2 * rings + 0.5)
    radial = np.array([power[nearest == ring].mean() for ring in range(1, rings + 1)])
    return radial, power[distance > cutoff].sum() / power.sum()


def structural_similarity(a: Array, b: Array) -> float:
    """Wang, Bovik, Sheikh and Simoncelli 2004, for values from 0 to 1."""

    def smooth(values: Array) -> Array:
        return gaussian_filter(values, 1.5, truncate=3.5)

    mean_a, mean_b = smooth(a), smooth(b)
    variance_a = smooth(a * a) - mean_a**2
    variance_b = smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure)[5:-5, 5:-5].mean()


def band_fidelity(picture: Array, original: Array, cutoff: float) -> list[float]:
    """Squared error, signal and SSIM of the whole, the low and the high band."""
    sigma = np.sqrt(np.log(2) / (2 * np.pi**2)) / cutoff
    low_picture, low_original = (gaussian_filter(x, sigma, truncate=4) for x in (picture, original))
    figures: list[float] = []
    for a, b in (
        (picture, original),
        (low_picture, low_original),
        (picture - low_picture, original - low_original),
    ):
        figures += [np.mean((a - b) ** 2), np.var(b), structural_similarity(a, b)]
    return figures


def resized(planes: Array, size: Array) -> Array:
    height, width = (int(each) for each in size)
    return np.stack(
        [
            np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
            for plane in planes.astype(np.float32)
        ]
    )


def lanczos(levels: Array, size: Array) -> tuple[str, Array]:
    height, width = (int(each) for each in size)
    picture = Image.fromarray(levels).resize((width, height), Image.Resampling.LANCZOS)
    return f"lanczos.{height}.{width}", np.asarray(picture)


def main() -> None:
    tensors = load_file(sys.argv[1])
    reference = tensors["reference"].astype(np.float64)
    generated = tensors["generated"].astype(np.float64)
    subsets = sum(name.endswith(".generated") for name in tensors)
    discrepancies = [
        squared_discrepancy(
            reference[tensors[f"subset.{index}.reference"]],
            generated[tensors[f"subset.{index}.generated"]],
        )
        for index in range(subsets)
    ]
    picture, original = tensors["picture"], tensors["original"]
    padded = [int(2 ** np.ceil(np.log2(length))) for length in picture.shape]
    radial, share = spectrum(picture, 0.25, padded)
    out = {
        "frechet": [frechet_distance(reference, generated)],
        "kernel": [
            np.mean(discrepancies),
            np.std(discrepancies, ddof=1) / np.sqrt(len(discrepancies)),
        ],
        "precisionRecall": precision_recall(reference, generated, 3),
        "radial": radial,
        "highShare": [share],
        "fidelity": band_fidelity(picture, original, 0.25),
        "resized": resized(tensors["planes"], tensors["size"]),
        **dict(lanczos(tensors["levels"], size) for size in tensors["sizes"]),
    }
    save_file({name: np.asarray(value, np.float64) for name, value in out.items()}, sys.argv[2])


if __name__ == "__main__":
    main()
