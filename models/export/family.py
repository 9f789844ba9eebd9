"""What a family of pipelines has to say of a checkpoint, and the bundle that is made of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import nn

from models.export import components
from models.export.checkpoint import Checkpoint
from models.export.dtypes import DTYPES
from models.export.plan import Component, Plan, Record
from models.export.scheduler import Schedule, describe_scheduler
from models.export.text_encoders import (
    Encoder,
    describe_encoder,
    encoder_components,
    tokenizer_of,
)
from models.export.trace import Traceable


@dataclass(frozen=True)
class Description:
    """The parts of bundle.json by its names, where the families differ.

    transformer: `inputs`, `outputChannels`, `tokenGrid`, `hiddenChannels`, and what else a family has.
    """

    transformer: Mapping[str, Any]
    latent: Mapping[str, Any]
    conditioning: Mapping[str, Any]
    defaults: Mapping[str, Any]
    massive_activations: Mapping[str, Any] | None = None


class Family(Protocol):
    """A family; `plan` is the same for all of them."""

    name: ClassVar[str]
    # Classes of diffusers.
    pipelines: ClassVar[tuple[str, ...]]
    encoders: ClassVar[Mapping[str, Encoder]] = {}
    # Those of the encoders that a checkpoint with encoders may lack.
    optional_encoders: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def describe(self, checkpoint: Checkpoint, encoders: frozenset[str]) -> Description:
        """encoders: those that the checkpoint has."""

    @abstractmethod
    def denoiser(self, transformer: nn.Module) -> Traceable:
        """The transformer with forward() in the order of the described inputs."""

    def refuse_variants(self, checkpoint: Checkpoint) -> None:  # noqa: B027 (most have none)
        """Raise CHECKPOINT_UNSUPPORTED for models of the family that take more than it knows of."""

    def schedule(self, checkpoint: Checkpoint) -> Schedule:
        return describe_scheduler(checkpoint.config("scheduler"))

    def describe_vae(self, checkpoint: Checkpoint, dtype: str) -> dict[str, Any]:
        return components.describe_vae(checkpoint, dtype)

    def vae_components(self, checkpoint: Checkpoint, dtype: str) -> list[Component]:
        return [
            vae_part("decoder", lambda: components.vae_decoder(checkpoint, dtype)),
            vae_part("encoder", lambda: components.vae_encoder(checkpoint, dtype)),
        ]

    def plan(self, checkpoint: Checkpoint, dtype: str) -> Plan:
        """Raise ExportError for a checkpoint that cannot be exported, before anything is loaded."""
        self.refuse_variants(checkpoint)
        schedule = self.schedule(checkpoint)
        present = [name for name in self.encoders if checkpoint.has(name)]
        if present:
            for name in self.encoders.keys() - self.optional_encoders:
                checkpoint.require(name)
        description = self.describe(checkpoint, frozenset(present))
        vae = self.describe_vae(checkpoint, dtype)

        def describe(records: Mapping[str, Record]) -> dict[str, Any]:
            content = {
                "family": self.name,
                "transformer": {
                    "file": "transformer.pt",
                    "dtype": dtype,
                    **description.transformer,
                    "blocks": records["transformer"]["blocks"],
                    "prediction": schedule.prediction,
                },
                "latent": description.latent,
                "textEncoders": {
                    name: describe_encoder(
                        checkpoint, name, dtype, records[tokenizer_of(name)], self.encoders[name]
                    )
                    for name in present
                }
                or None,
                "conditioning": description.conditioning,
                "scheduler": schedule.options,
                "image": {"kind": "vae", "range": [-1, 1], "channels": 3},
                "vae": vae,
                "massiveActivations": description.massive_activations,
                "defaults": description.defaults,
            }
            return {key: value for key, value in content.items() if value is not None}

        def transformer() -> Traceable:
            return self.denoiser(checkpoint.load("transformer", DTYPES[dtype]))

        parts = [
            *encoder_components(checkpoint, dtype, {name: self.encoders[name] for name in present}),
            Component("transformer", "transformer.pt", "transformer", trace=transformer),
            *self.vae_components(checkpoint, dtype),
        ]
        return Plan(parts, describe, schedule.notes)


def vae_part(part: str, trace: Callable[[], Traceable]) -> Component:
    """The VAE's decoder or encoder as a component of the bundle."""
    return Component(f"vae {part}", f"vae/{part}.pt", "vae", trace=trace)


def described(name: str, role: str, *shape: int | str, dtype: str = "float") -> dict[str, Any]:
    """bundle.json's entry of an input that has a row for each image."""
    return {"name": name, "role": role, "dtype": dtype, "shape": ["batch", *shape]}


def width_of(config: Mapping[str, Any]) -> int:
    """Channels of the hidden states."""
    return config["num_attention_heads"] * config["attention_head_dim"]


def square(config: Mapping[str, Any]) -> dict[str, Any]:
    """bundle.json's `latent` of a model for pictures of `sample_size` cells."""
    size = config["sample_size"]
    return {"channels": config["in_channels"], "height": size, "width": size}


def square_grid(config: Mapping[str, Any]) -> list[int]:
    """bundle.json's `tokenGrid` of such a model."""
    side = config["sample_size"] // config["patch_size"]
    return [side, side]
