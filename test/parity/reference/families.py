"""Pipelines of diffusers as they are, with Detail Guidance by ordinary forward hooks: the reference
of the families' tests.

The small random pipelines of pipelines.py. `export` writes one as a bundle; `generate` runs it and
answers with what the text encoders and the transformer were given and gave at first, and with the
pictures.
"""

from __future__ import annotations

import functools
import inspect
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pipelines
import torch
from diffusers import (
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
)
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.pipelines.dit import pipeline_dit
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image
from torch import Tensor, nn

from models.export.checkpoint import Checkpoint
from models.export.run import export as export_bundle

IMAGE_TO_IMAGE = {"sd3": StableDiffusion3Img2ImgPipeline, "flux": FluxImg2ImgPipeline}
INPAINTING = {"sd3": StableDiffusion3InpaintPipeline, "flux": FluxInpaintPipeline}

# Where the conditional rows of a batch of CFG are, for the pipelines that evaluate both at once.
CONDITIONAL_HALF = {"sd3": 1, "pixart": 1, "dit": 0}


@functools.cache
def pipeline(family: str, variant: str) -> DiffusionPipeline:
    made = pipelines.pipeline(family, variant)
    made.set_progress_bar_config(disable=True)
    return made


def export(family: str, variant: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = pipelines.save(family, Path(folder) / "checkpoint", variant)
        export_bundle(Checkpoint(source), out)


def blocks_of(transformer: nn.Module) -> list[nn.Module]:
    for name in ("transformer_blocks", "blocks"):
        if hasattr(transformer, name):
            return [
                *getattr(transformer, name),
                *getattr(transformer, "single_transformer_blocks", ()),
            ]
    raise ValueError(f"{type(transformer).__name__} has no blocks")


class DetailGuidance:
    """Stands in for the transformer's forward: D(c) becomes D(c) + (w / s)(D(c) - D_m(c)).

    The pipeline's own CFG, D(null) + s (D(c) - D(null)) with s = 1 without it, makes of that
    D(c) + (s - 1)(D(c) - D(null)) + w (D(c) - D_m(c)). D_m is the same transformer with a forward
    hook on the block `layer` that zeroes `channels` of the image's hidden state.
    """

    def __init__(self, family: str, transformer: nn.Module, detail: dict[str, Any], cfg: float):
        self.family, self.transformer, self.detail, self.cfg = family, transformer, detail, cfg
        self.forward = transformer.forward
        self.calls = 0

    def disrupt(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = (output[-1] if isinstance(output, tuple) else output).clone()
        hidden[..., self.detail["channels"]] = 0
        return (*output[:-1], hidden) if isinstance(output, tuple) else hidden

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        predicted = self.forward(*args, **kwargs)[0]
        # Of the pipelines with two calls a step the conditional one comes first.
        is_unconditional = self.calls % 2 == 1
        self.calls += 1
        together = self.family in CONDITIONAL_HALF
        as_asked = Transformer2DModelOutput if kwargs.get("return_dict", True) else lambda x: (x,)
        if self.cfg != 1 and not together and is_unconditional:
            return as_asked(predicted)
        block = blocks_of(self.transformer)[self.detail["layer"]]
        handle = block.register_forward_hook(self.disrupt)
        try:
            deficient = self.forward(*args, **kwargs)[0]
        finally:
            handle.remove()
        change = (self.detail["scale"] / self.cfg) * (predicted - deficient)
        if self.cfg != 1 and together:
            half = len(predicted) // 2
            other = slice(half, None) if CONDITIONAL_HALF[self.family] == 0 else slice(None, half)
            change[other] = 0
        return as_asked(predicted + change)


class FirstCalls:
    """What the text encoders are given first, what the transformer is given and gives, and the AdaLN
    modulation of each block, "modulation.<layer>" [B, chunks D]."""

    def __init__(self, made: DiffusionPipeline) -> None:
        self.found: dict[str, Tensor] = {}
        self.handles = []
        for name, component in made.components.items():
            if name.startswith("text_encoder") and component is not None:
                hook = functools.partial(self.ids, name)
                self.handles.append(component.register_forward_pre_hook(hook, with_kwargs=True))
        for layer, block in enumerate(blocks_of(made.transformer)):
            self.watch_modulation(f"modulation.{layer}", block)
        hook = self.evaluation
        self.handles.append(made.transformer.register_forward_hook(hook, with_kwargs=True))

    def watch_modulation(self, name: str, block: nn.Module) -> None:
        """PixArt and Wan give every block the same modulation, to which it adds its own table."""
        if not hasattr(block, "scale_shift_table"):
            norm = getattr(block, "norm1", None) or block.norm

            def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                self.found.setdefault(name, output.clone())

            self.handles.append(norm.linear.register_forward_hook(keep))
            return

        def add(block: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
            given = inspect.signature(block.forward).bind(*args, **kwargs).arguments
            shared = given["temb"] if "temb" in given else given["timestep"]
            sums = block.scale_shift_table.flatten() + shared.flatten(1)
            self.found.setdefault(name, sums.clone())

        self.handles.append(block.register_forward_pre_hook(add, with_kwargs=True))

    def ids(self, name: str, _module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        given = args[0] if args else kwargs["input_ids"]
        self.found.setdefault(f"ids.{name}", given.clone())

    def evaluation(self, _module: nn.Module, _args: tuple, kwargs: dict[str, Any], output: Any):
        if "output" in self.found:
            return
        named = {**kwargs, **(kwargs.get("added_cond_kwargs") or {})}
        for name, value in named.items():
            if isinstance(value, Tensor):
                self.found[f"input.{name}"] = value.clone()
        self.found["output"] = (output[0] if isinstance(output, tuple) else output.sample).clone()

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def decoded(made: DiffusionPipeline, latents: Tensor) -> np.ndarray:
    """As StableDiffusion3Pipeline decodes."""
    config = made.vae.config
    pictures = made.vae.decode(latents / config.scaling_factor + config.shift_factor)[0]
    return made.image_processor.postprocess(pictures, output_type="np")


@torch.no_grad()
def generate(request: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`options` are the pipeline's own arguments; `detail` {scale, layer, channels} or null; `cfg` the
    scale of CFG, 1 without. `latents` [images, C, (F,) H, W]; for Flux packed here. With `image`,
    uint8 [H, W, 3], image to image, with `mask`, uint8 [H, W], too, inpainting, both with the noise
    of `seed`.
    """
    family, options = request["family"], dict(request["options"])
    made = pipeline(family, request["variant"])
    latents = tensors["latents"]
    if "image" in tensors:
        kind = INPAINTING[family] if "mask" in tensors else IMAGE_TO_IMAGE[family]
        made = kind(**made.components)
        made.set_progress_bar_config(disable=True)
        options["image"] = Image.fromarray(tensors["image"].numpy())
        options["generator"] = torch.Generator().manual_seed(request["seed"])
        if "mask" in tensors:
            options["mask_image"] = Image.fromarray(tensors["mask"].numpy())
    # diffusers 0.42's inpainting for SD3 decodes latents / scaling_factor, and leaves out the
    # shift_factor that its other pipelines add.
    forgets_the_shift = family == "sd3" and "mask" in tensors
    # Schedulers remember what they were used for.
    made.scheduler = type(made.scheduler).from_config(made.scheduler.config)
    patched = mock.patch.object(pipeline_dit, "randn_tensor", lambda *_, **__: latents.clone())
    if "image" in tensors:
        pass
    elif family == "flux":
        options["latents"] = made._pack_latents(latents, *latents.shape)
    elif family != "dit":
        options["latents"] = latents.clone()
    if family == "wan":
        made.vae.clear_cache()
    detail = request.get("detail")
    guided = DetailGuidance(family, made.transformer, detail, request["cfg"]) if detail else None
    first = FirstCalls(made)
    try:
        with patched:
            if guided:
                made.transformer.forward = guided
            result = made(**options, output_type="latent" if forgets_the_shift else "np")
    finally:
        first.remove()
        if guided:
            made.transformer.forward = guided.forward
    pictures = result.frames if family == "wan" else result.images
    if forgets_the_shift:
        pictures = decoded(made, pictures)
    found = {**first.found, "pictures": torch.from_numpy(np.asarray(pictures, dtype=np.float32))}
    if family == "flux":
        scale = made.vae_scale_factor
        height, width = latents.shape[-2] * scale, latents.shape[-1] * scale
        found["output"] = made._unpack_latents(found["output"], height, width, scale)
    return found
