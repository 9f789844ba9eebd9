"""Exports of small pipelines of diffusers compute what diffusers computes, at other sizes too."""

from __future__ import annotations

import json
from pathlib import Path

import pipelines
import pytest
import torch

from models.export.checkpoint import Checkpoint
from models.export.run import export

VARIANTS = [
    (family, variant)
    for family, (_, variants) in pipelines.BUILDERS.items()
    for variant in variants
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(family, variant) -> its bundle's folder, bundle.json's content and the pipeline; made once."""
    made = {}

    def get(family: str, variant: str):
        if (family, variant) not in made:
            folder = tmp_path_factory.mktemp(f"{family}-{variant}")
            source = pipelines.save(family, folder / "checkpoint", variant)
            manifest = export(Checkpoint(source), folder / "bundle")
            made[family, variant] = (
                folder / "bundle",
                manifest,
                pipelines.pipeline(family, variant),
            )
        return made[family, variant]

    return get


def load(bundle: Path, file: str) -> torch.jit.ScriptModule:
    return torch.jit.load(str(bundle / file))


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape
    return (one - other).abs().max().item() / other.abs().max().item()


def example(name: str, manifest: dict, batch: int, height: int, width: int, tokens: int):
    """Values for an input of the transformer by its role, at the size asked for."""
    entry = next(each for each in manifest["transformer"]["inputs"] if each["name"] == name)
    sizes = {
        "batch": batch,
        "height": height,
        "width": width,
        "tokens": tokens,
        "frames": 2,
        "imageTokens": height * width // 4,
    }
    shape = [sizes.get(size, size) for size in entry["shape"]]
    match entry["role"]:
        case "timestep":
            scale = manifest["scheduler"].get("timestepScale", 1000)
            return torch.linspace(0.9, 0.1, batch) * scale
        case "class":
            return torch.tensor([3, 1000, 7][:batch])
        case "mask":
            return (torch.arange(tokens)[None] < 5 + torch.arange(batch)[:, None]).long()
        case "position_ids" if name == "img_ids":
            ids = torch.zeros(height // 2, width // 2, 3)
            ids[..., 1] += torch.arange(height // 2)[:, None]
            ids[..., 2] += torch.arange(width // 2)[None]
            return ids.flatten(0, 1)
        case "position_ids":
            return torch.zeros(shape)
    return torch.randn(shape)


@torch.no_grad()
def predicted(family: str, pipeline, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the pipeline's transformer predicts, called as the pipeline of diffusers calls it."""
    transformer = pipeline.transformer
    if family == "dit":
        values = {**values, "timestep": values["timestep"].long()}
    if family == "pixart":
        conditions = {key: values.pop(key, None) for key in ("resolution", "aspect_ratio")}
        values["added_cond_kwargs"] = conditions
    if family != "flux":
        return transformer(**values, return_dict=False)[0]
    batch, channels, height, width = values["hidden_states"].shape
    values["hidden_states"] = pipeline._pack_latents(
        values["hidden_states"], batch, channels, height, width
    )
    tokens = transformer(**values, return_dict=False)[0]
    scale = pipeline.vae_scale_factor
    return pipeline._unpack_latents(tokens, height * scale, width * scale, scale)


@pytest.mark.parametrize("family, variant", VARIANTS)
@pytest.mark.parametrize(
    "batch, height, width, tokens", [(1, 8, 8, 9), (3, 12, 8, 21), (2, 16, 16, 5)]
)
def test_the_transformer_predicts_what_that_of_diffusers_does(
    exported, family, variant, batch, height, width, tokens
):
    bundle, manifest, pipeline = exported(family, variant)
    if family == "dit":
        # diffusers' own takes squares alone.
        width = height
    torch.manual_seed(batch)
    names = [each["name"] for each in manifest["transformer"]["inputs"]]
    values = {name: example(name, manifest, batch, height, width, tokens) for name in names}
    if family == "dit":
        values["timestep"] = values["timestep"].long().float()
    traced = load(bundle, "transformer.pt")
    found = traced(*values.values())
    assert difference(found, predicted(family, pipeline, dict(values))) < 1e-5


@pytest.mark.parametrize("family, variant", VARIANTS)
def test_the_blocks_and_their_attention_stay_where_the_loader_looks_for_them(
    exported, family, variant
):
    bundle, manifest, pipeline = exported(family, variant)
    traced = load(bundle, "transformer.pt")
    paths = {path for path, _ in traced.named_modules()}
    blocks = [each for each in manifest["transformer"]["blocks"]]
    for block in blocks:
        container = block["path"].removesuffix(".*")
        assert container in paths
        assert "image" in block["streams"]
    assert "scaled_dot_product_attention" in str(traced.inlined_graph)


@pytest.mark.parametrize("family, variant", VARIANTS)
@torch.no_grad()
def test_the_vae_decodes_and_encodes_as_that_of_diffusers(exported, family, variant):
    bundle, manifest, pipeline = exported(family, variant)
    channels = manifest["latent"]["channels"]
    scale = manifest["vae"]["scale"]
    decoder = load(bundle, manifest["vae"]["decoder"]["file"])
    shapes = [(1, channels, 8, 6), (3, channels, 4, 10)]
    if family == "wan":
        shapes = [(1, channels, frames, 4, 6) for frames in (1, 2, 5)]
    for shape in shapes:
        latents = torch.randn(shape)
        expected = pipeline.vae.decode(latents, return_dict=False)[0]
        assert difference(decoder(latents), expected) < 1e-5
        assert expected.shape[-1] == scale * shape[-1]
    if family != "wan":
        encoder = load(bundle, manifest["vae"]["encoder"]["file"])
        pictures = torch.rand(3, 3, 6 * scale, 10 * scale) * 2 - 1
        expected = pipeline.vae.encode(pictures).latent_dist.parameters
        assert difference(encoder(pictures), expected) < 1e-5


PROMPTS = [
    "a photo of a cat, sharp focus",
    "Two children FLY a kite over the grass &amp; river 12!",
]


@pytest.mark.parametrize(
    "family, variant", [("sd3", "sd3"), ("flux", "dev"), ("pixart", "sigma"), ("wan", "wan")]
)
@torch.no_grad()
def test_text_encoders_and_tokenizers_are_those_of_diffusers(exported, family, variant):
    from tokenizers import Tokenizer

    bundle, manifest, pipeline = exported(family, variant)
    assert manifest["textEncoders"]
    for name, entry in manifest["textEncoders"].items():
        rules = entry["tokenizer"]
        own = getattr(pipeline, name.replace("text_encoder", "tokenizer"))
        length = rules.get("maxLength", 40)
        expected = own(
            PROMPTS, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        tokenizer = Tokenizer.from_file(str(bundle / rules["file"]))
        for prompt, ids in zip(PROMPTS, expected.input_ids.tolist(), strict=True):
            found = tokenizer.encode(prompt).ids
            assert found + [rules["padId"]] * (length - len(found)) == ids
            assert found[-1] == rules["endId"]
        arguments = [expected.input_ids]
        if "mask" in entry["inputs"]:
            arguments.append(expected.attention_mask)
        outputs = load(bundle, entry["file"])(*arguments)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        named = dict(zip(entry["outputs"], outputs, strict=True))
        eager = getattr(pipeline, name)(*arguments, output_hidden_states=True)
        if "pooled" in named:
            pooled = eager.pooler_output if family == "flux" else eager.text_embeds
            assert difference(named["pooled"], pooled) < 1e-5
            assert named["pooled"].shape[-1] == entry["pooledWidth"]
        if "sequence" in named:
            hidden = eager.hidden_states[-2] if rules["kind"] == "clip" else eager[0]
            assert difference(named["sequence"], hidden) < 1e-5
            assert named["sequence"].shape == (2, length, entry["width"])


def test_without_t5_its_part_of_the_prompt_is_zeros_as_in_diffusers(exported):
    _, manifest, pipeline = exported("sd3", "no-t5")
    assert set(manifest["textEncoders"]) == {"text_encoder", "text_encoder_2"}
    joined = manifest["conditioning"]["inputs"]["encoder_hidden_states"]["of"]
    assert joined[1] == {"zeros": {"tokens": "maxSequenceLength", "channels": 40}}
    embeddings = pipeline._get_t5_prompt_embeds("a cat", max_sequence_length=7)
    assert embeddings.shape == (1, 7, 40)
    assert not embeddings.any()


def test_bundle_json_is_what_was_returned_and_lists_every_file(exported):
    bundle, manifest, _ = exported("flux", "dev")
    assert json.loads((bundle / "bundle.json").read_text()) == manifest
    present = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert present == {*manifest["files"], "bundle.json"}


@pytest.mark.parametrize(
    "family, variant, expected",
    [
        ("sd3", "sd3", {"kind": "flow-match-euler", "shift": 3.0, "timestepScale": 1000}),
        ("flux", "dev", {"useDynamicShifting": True, "baseShift": 0.5, "timestepScale": 1}),
        ("flux", "schnell", {"shift": 1.0, "timestepSpacing": "trailing"}),
        ("dit", "dit", {"kind": "ddim", "setAlphaToOne": True}),
        ("pixart", "sigma", {"kind": "dpm-solver++", "betaEnd": 0.02}),
    ],
)
def test_the_schedule_has_the_constants_of_the_checkpoint(exported, family, variant, expected):
    _, manifest, _ = exported(family, variant)
    assert expected.items() <= manifest["scheduler"].items()


def test_a_small_random_model_gets_no_channels_from_the_literature(exported):
    for family, variant in VARIANTS[:3]:
        _, manifest, _ = exported(family, variant)
        assert "massiveActivations" not in manifest
