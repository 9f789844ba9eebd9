"""Make the embedded bundle from a training run: measure, trace, write.

python -m models.embed --run build-models --out models/embedded
"""

from __future__ import annotations

from pathlib import Path

import torch

from models import classifier, train
from models.classifier_features import FEATURES, eager_judge, feature_network
from models.command_line import parser_of, run_command
from models.diffusion_transformer import TransformerConfig
from models.export.bundle import DTYPES, rounded_copy, write_bundle
from models.fashion_mnist import DEFAULT_FOLDER, LABELS, load_split
from models.massive_activations import FALLBACK_CHANNELS, RULE, measure, report
from models.precision import measure as measure_precision

EMBEDDED = Path("models/embedded")
STATISTICS = "massive-activations.json"
PICTURES = 10  # that 16 bits are compared with float32 by

# Chosen by docs/claims.md and by looking at contact sheets (models/README.md says what was seen).
NUM_INFERENCE_STEPS = 20
CLASSIFIER_FREE_SCALE = 2.0
DETAIL_SCALE = 0.3
DETAIL_LAYER = 5
RETENTION = 0.0


def describe_transformer(config: TransformerConfig) -> dict:
    """The `transformer` entry of bundle.json; inputs in the order of forward()."""
    size = config.image_size
    image = ["batch", config.image_channels, size, size]
    return {
        "inputs": [
            {"name": "sample", "role": "latent", "dtype": "float", "shape": image},
            {"name": "timestep", "role": "timestep", "dtype": "float32", "shape": ["batch"]},
            {"name": "class", "role": "class", "dtype": "int64", "shape": ["batch"]},
        ],
        "blocks": [{"path": "blocks.*", "streams": ["image"]}],
        "outputChannels": config.image_channels,
        "prediction": "flow",
        "tokenGrid": [config.grid, config.grid],
        "hiddenChannels": config.width,
    }


def describe(
    config: TransformerConfig, accuracy: float, layer: int, channels: list[int], rule: str
) -> dict:
    """bundle.json for a Fashion-MNIST DiT, without what `write_bundle` fills in."""
    return {
        "name": "fashion-mnist-dit",
        "family": "dit",
        "licence": "MIT",
        "description": "Class-conditional Diffusion Transformer (adaLN-zero, flow matching) "
        "trained on Fashion-MNIST by models/train.py",
        "transformer": describe_transformer(config),
        "latent": {
            "channels": config.image_channels,
            "height": config.image_size,
            "width": config.image_size,
        },
        "conditioning": {
            "kind": "class",
            "numClasses": config.num_classes,
            "nullClass": config.null_class,
            "labels": list(LABELS),
        },
        "scheduler": {
            "kind": "flow-match-euler",
            "shift": 1.0,
            "timestepSpacing": "trailing",  # 1 - i / n, as flow_sigmas
            "numTrainTimesteps": 1000,
            "timestepScale": 1.0,
        },
        "image": {"kind": "pixels", "range": [-1, 1], "channels": config.image_channels},
        "classifier": {"file": "classifier.pt", "accuracy": accuracy, "features": FEATURES},
        "massiveActivations": {
            "stream": "image",
            "layer": layer,
            "channels": channels,
            "rule": rule,
            "source": "measured",
            "statistics": STATISTICS,
        },
        "defaults": {
            "numInferenceSteps": NUM_INFERENCE_STEPS,
            "guidance": {
                "classifierFree": {"scale": CLASSIFIER_FREE_SCALE},
                "detail": {
                    "scale": DETAIL_SCALE,
                    "layer": layer,
                    "channels": "auto",
                    "retention": RETENTION,
                },
            },
        },
    }


def embed(
    run: Path, data: Path, out: Path, judged_by: Path = EMBEDDED, dtype: str = "float16"
) -> dict:
    """Write the bundle `out` from the averaged weights in `run`; returns the manifest.

    The classifier is the run's, if it trained one, or that of the bundle `judged_by`.
    """
    model, _ = train.load_average(run / train.AVERAGE)
    trained = run / classifier.CHECKPOINT
    judge = classifier.load_classifier(trained) if trained.is_file() else eager_judge(judged_by)
    config = model.config
    # Measure what the file will hold: the weights as rounded for the disk.
    rounded_model = rounded_copy(model, DTYPES[dtype])
    rounded_judge = rounded_copy(judge, DTYPES[dtype])
    images, labels = load_split(data, "test")
    predictions = classifier.predict(rounded_judge, images)
    accuracy = round((predictions == labels).float().mean().item(), 4)
    latent_shape = (config.image_channels, config.image_size, config.image_size)
    statistics = report(measure(rounded_model, latent_shape, config.num_classes))
    layer = min(DETAIL_LAYER, config.depth - 1)
    block = statistics["blocks"][layer]
    channels, rule = block["channels"], RULE
    if not channels:
        channels = block["strongest"]["channels"][:FALLBACK_CHANNELS]
        rule = f"the strongest, none being massive by: {RULE}"
    picture = torch.randn(2, *latent_shape)
    examples = (torch.randn(2, *latent_shape), torch.tensor([0.9, 0.1]), torch.tensor([3, 10]))
    description = describe(config, accuracy, layer, channels, rule)
    description["transformer"]["psnr"] = measure_precision(rounded_model, description, PICTURES)
    return write_bundle(
        model,
        examples,
        description,
        out,
        dtype=dtype,
        other_modules={
            "classifier.pt": (judge, (picture,)),
            FEATURES: (feature_network(judge), (picture,)),
        },
        documents={STATISTICS: statistics},
    )


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--run", type=Path, default=Path("build-models"), help="folder of the training"
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="folder of IDX files")
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="the bundle")
    parser.add_argument(
        "--judge",
        type=Path,
        default=EMBEDDED,
        help="bundle whose classifier serves, if the run has none",
    )
    arguments = parser.parse_args()
    manifest = embed(arguments.run, arguments.data, arguments.out, arguments.judge)
    print(f"wrote {arguments.out}: massive channels {manifest['massiveActivations']['channels']}")


if __name__ == "__main__":
    run_command(main)
