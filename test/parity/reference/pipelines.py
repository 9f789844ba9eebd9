"""The checkpoints of the tests: whole diffusers pipelines, small and with random weights.

    python test/parity/reference/pipelines.py sd3 FOLDER [--variant NAME]

writes what `save_pretrained` writes: real classes, tokenizers with a small vocabulary, and
schedulers with the published models' constants. From Python: `save(family, folder, variant)`.

| family | variants                                                             |
|--------|----------------------------------------------------------------------|
| sd3    | sd3, sd35 (dual attention, query and key norms), no-t5               |
| flux   | dev (guidance embedding, dynamic shift), schnell                     |
| dit    | dit                                                                  |
| pixart | alpha (with resolution and aspect ratio), sigma                      |
| wan    | wan, unipc (the scheduler of the published checkpoints)              |

The first one is the default. A picture has four pixels for each cell of the latent (Wan: eight, and
four frames for each after the first); every size that the patch of 2 divides works.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLWan,
    DDIMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

REFERENCE = Path(__file__).resolve().parent
sys.path[:0] = [str(REFERENCE), str(REFERENCE.parents[2])]

from architectures import randomise  # noqa: E402

CORPUS = [
    "a photo of a cat sitting on a red sofa in the morning light",
    "an astronaut riding a horse on mars, oil painting, highly detailed",
    "a watercolour of a lighthouse by the sea, storm clouds and small boats",
    "two children fly a kite over a field of tall grass near the river",
    "macro photograph of a dew drop on a spider's web, sharp focus, bokeh",
    "low quality, blurry, deformed hands, watermark",
    "the quick brown fox jumps over the lazy dog's 12 sleeping puppies",
]
WIDTH = 48
TEXT_WIDTH = 40


def byte_characters() -> list[str]:
    """The 256 characters that stand for bytes, in CLIP's order: printable ones first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [*map(chr, printable), *(chr(256 + index) for index in range(len(others)))]


def clip_tokenizer(pad_token: str = "<|endoftext|>") -> CLIPTokenizer:
    """CLIP's rules with a small vocabulary; the end of text has the highest id, as in CLIP's.

    Words of the corpus are merged letter by letter. (The library's trainers give another order of
    equally frequent pieces in every process.)
    """
    letters = byte_characters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in corpus_words():
        *body, last = word
        symbols = [*body, f"{last}</w>"]
        while len(symbols) > 1:
            left, right, *rest = symbols
            merges[left, right] = None
            symbols = [left + right, *rest]
    pieces += dict.fromkeys(left + right for left, right in merges)
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)},
        merges=list(merges),
        model_max_length=77,
        pad_token=pad_token,
    )


def t5_tokenizer() -> T5Tokenizer:
    """T5's rules with a small unigram vocabulary: <pad> 0, </s> 1, <unk> 2."""
    words = corpus_words()
    beginnings = dict.fromkeys(f"▁{word[:length]}" for word in words for length in (2, 3))
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    vocabulary += [(f"▁{word}", -4.0 - len(word) / 8) for word in words]
    known = dict(vocabulary)
    vocabulary += [(piece, -5.0) for piece in beginnings if piece not in known]
    vocabulary += [(letter, -6.0) for letter in sorted(set("".join(CORPUS)) - {" "})]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)


def corpus_words() -> list[str]:
    """Its words without punctuation, in order, each once."""
    return list(dict.fromkeys(re.findall(r"[a-z]+", " ".join(CORPUS))))


def clip_config(tokenizer: CLIPTokenizer, width: int, layers: int, **rest) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=width,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **rest,
    )


def t5_encoder(tokenizer: T5Tokenizer) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=TEXT_WIDTH,
            d_kv=8,
            d_ff=64,
            num_layers=3,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
        )
    )


def autoencoder(latent_channels: int, **rest) -> AutoencoderKL:
    """Scales pictures down four times."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 16, 32),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=64,
        **rest,
    )


def sd3(variant: str) -> StableDiffusion3Pipeline:
    modern = {"dual_attention_layers": (0, 1), "qk_norm": "rms_norm"} if variant == "sd35" else {}
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        # diffusers' inpainting asks for this very number.
        in_channels=16,
        out_channels=16,
        num_layers=4,
        attention_head_dim=WIDTH // 3,
        num_attention_heads=3,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=40,
        pos_embed_max_size=24,
        **modern,
    )
    randomise(transformer, 2, transformer.pos_embed.proj)
    first, second, third = clip_tokenizer(), clip_tokenizer(pad_token="!"), t5_tokenizer()
    # The published encoders differ in this: 2 stands for the rule of the first CLIP, which looks
    # for the highest id.
    encoder = CLIPTextModelWithProjection(clip_config(first, 16, 3, eos_token_id=2))
    encoder_2 = CLIPTextModelWithProjection(
        clip_config(second, 24, 4, hidden_act="gelu", eos_token_id=second.eos_token_id)
    )
    with_t5 = variant != "no-t5"
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(
            16,
            scaling_factor=1.5305,
            shift_factor=0.0609,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=encoder,
        tokenizer=first,
        text_encoder_2=encoder_2,
        tokenizer_2=second,
        text_encoder_3=t5_encoder(third) if with_t5 else None,
        tokenizer_3=third if with_t5 else None,
    )


def flux(variant: str) -> FluxPipeline:
    dev = variant == "dev"
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=32,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=WIDTH // 3,
        num_attention_heads=3,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=16,
        guidance_embeds=dev,
        axes_dims_rope=(4, 6, 6),
    )
    randomise(transformer, 3, transformer.x_embedder)
    first, second = clip_tokenizer(), t5_tokenizer()
    return FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0 if dev else 1.0, use_dynamic_shifting=dev
        ),
        vae=autoencoder(
            8,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=CLIPTextModel(clip_config(first, 16, 3, eos_token_id=2)),
        tokenizer=first,
        text_encoder_2=t5_encoder(second),
        tokenizer_2=second,
    )


def dit(variant: str) -> DiTPipeline:
    transformer = DiTTransformer2DModel(
        num_attention_heads=3,
        attention_head_dim=WIDTH // 3,
        in_channels=4,
        out_channels=8,
        num_layers=4,
        sample_size=16,
        patch_size=2,
        # The pipeline of diffusers has the index of the null class, 1000, built in.
        num_embeds_ada_norm=1000,
    )
    randomise(transformer, 1, transformer.pos_embed.proj)
    return DiTPipeline(
        transformer=transformer,
        vae=autoencoder(4, scaling_factor=0.18215),
        scheduler=DDIMScheduler(clip_sample=False),
        id2label={str(index): f"class {index}, number {index}" for index in range(1000)},
    )


def pixart(variant: str) -> PixArtAlphaPipeline | PixArtSigmaPipeline:
    alpha = variant == "alpha"
    transformer = PixArtTransformer2DModel(
        num_attention_heads=3,
        attention_head_dim=WIDTH // 3,
        in_channels=4,
        out_channels=8,
        num_layers=4,
        cross_attention_dim=WIDTH,
        # The pipeline gives resolution and aspect ratio to a transformer of this size alone.
        sample_size=128 if alpha else 16,
        patch_size=2,
        interpolation_scale=2,
        caption_channels=TEXT_WIDTH,
        use_additional_conditions=alpha,
    )
    randomise(transformer, 4, transformer.pos_embed.proj)
    tokenizer = t5_tokenizer()
    kind = PixArtAlphaPipeline if alpha else PixArtSigmaPipeline
    return kind(
        tokenizer=tokenizer,
        text_encoder=t5_encoder(tokenizer),
        vae=autoencoder(4, scaling_factor=0.18215 if alpha else 0.13025),
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02),
    )


def wan(variant: str) -> WanPipeline:
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=3,
        attention_head_dim=WIDTH // 3,
        in_channels=4,
        out_channels=4,
        text_dim=TEXT_WIDTH,
        freq_dim=32,
        ffn_dim=96,
        num_layers=4,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
    )
    randomise(transformer, 5, transformer.patch_embedding)
    tokenizer = t5_tokenizer()
    encoder = UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(tokenizer),
            d_model=TEXT_WIDTH,
            d_kv=8,
            d_ff=64,
            num_layers=3,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
        )
    )
    vae = AutoencoderKLWan(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[-0.7571, -0.7089, -0.9113, 0.1075],
        latents_std=[2.8184, 1.4541, 2.3275, 2.6558],
    )
    return WanPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        )
        if variant == "unipc"
        else FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer,
    )


BUILDERS: dict[str, tuple[Callable[[str], DiffusionPipeline], tuple[str, ...]]] = {
    "sd3": (sd3, ("sd3", "sd35", "no-t5")),
    "flux": (flux, ("dev", "schnell")),
    "dit": (dit, ("dit",)),
    "pixart": (pixart, ("alpha", "sigma")),
    "wan": (wan, ("wan", "unipc")),
}


def pipeline(family: str, variant: str | None = None) -> DiffusionPipeline:
    """The pipeline in memory, float32, the same weights every time; `variant` as above."""
    builder, variants = BUILDERS[family]
    if variant is not None and variant not in variants:
        raise ValueError(f"{family} has no variant {variant!r}: {', '.join(variants)}")
    torch.manual_seed(0)
    made = builder(variant or variants[0])
    for component in made.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval().requires_grad_(False)
    return made


def save(family: str, folder: Path, variant: str | None = None) -> Path:
    """Write the pipeline as a folder, as `save_pretrained` does, and return the folder."""
    pipeline(family, variant).save_pretrained(str(folder))
    return Path(folder)


def load(folder: Path, **options: Any) -> DiffusionPipeline:
    """Read a pipeline that `save` wrote; diffusers wants the components that are not there named."""
    index = json.loads((Path(folder) / "model_index.json").read_text())
    absent = {
        name: None
        for name, kind in index.items()
        if isinstance(kind, list) and kind == [None, None]
    }
    return DiffusionPipeline.from_pretrained(str(folder), **absent, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a small random pipeline of diffusers.")
    parser.add_argument("family", choices=BUILDERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant")
    arguments = parser.parse_args()
    print(save(arguments.family, arguments.folder, arguments.variant))


if __name__ == "__main__":
    main()
