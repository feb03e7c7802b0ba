"""Bundles of the public models' exact file names, keys and shapes, with random weights.

They load as the real ones do and draw noise. Configurations are as published; keys and shapes of
UNet, autoencoder and text encoders are what diffusers and transformers make of them, under the
names the published files have; FaceID's are written out. Weights are float16, one block of random
numbers over and over, so that gigabytes are written as fast as the disk takes them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from models import (
    BundleDescription,
    ComponentDescription,
    ComponentKind,
    Defaults,
    FacesSettings,
    seal_bundle,
)
from tests.tiny import word_pieces, write_faces

Shapes = dict[str, tuple[int, ...]]
RANK = 128  # of FaceID's LoRA
IDENTITY_TOKENS = 4
_BLOCK = 1 << 20  # random numbers, over and over

_NOISE = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
    "steps_offset": 1, "trained_betas": None, "clip_sample": False,
}  # fmt: skip
_UNET = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "center_input_sample": False,
    "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32,
    "out_channels": 4,
}  # fmt: skip
_VAE = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4, "in_channels": 3, "latent_channels": 4,
    "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
_TEXT = {
    "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2,
    "initializer_factor": 1.0, "initializer_range": 0.02, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77, "model_type": "clip_text_model", "pad_token_id": 1,
    "vocab_size": 49408,
}  # fmt: skip
_CLIP_L = {
    **_TEXT, "architectures": ["CLIPTextModel"], "hidden_act": "quick_gelu", "hidden_size": 768,
    "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
    "projection_dim": 768,
}  # fmt: skip
_CLIP_BIGG = {
    **_TEXT, "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu",
    "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20,
    "num_hidden_layers": 32, "projection_dim": 1280,
}  # fmt: skip


@dataclass(frozen=True)
class PublicModel:
    """A public model by its files. size: side of its pictures in pixels. heads: the width of each
    cross-attention layer, in the order of `unet.attn_processors`: down, up, middle.
    """

    name: str
    size: int
    pipeline: str
    scheduler: Mapping[str, object]
    unet: Mapping[str, object]
    vae: Mapping[str, object]
    text_encoders: Mapping[str, Mapping[str, object]]
    pads: Mapping[str, str]
    faceid: str
    hidden: tuple[int, ...]
    index: Mapping[str, object] = field(default_factory=dict)
    old_vae_keys: bool = False

    @property
    def width(self) -> int:
        """Of the text states."""
        return int(str(self.unet["cross_attention_dim"]))


SD15 = PublicModel(
    name="sd15-shape",
    size=512,
    pipeline="StableDiffusionPipeline",
    scheduler={"_class_name": "PNDMScheduler", **_NOISE},
    unet={
        **_UNET, "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
        "cross_attention_dim": 768, "sample_size": 64,
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    },
    vae={**_VAE, "sample_size": 512},  # its scaling factor is the class's own: 0.18215
    text_encoders={"text_encoder": _CLIP_L},
    pads={"tokenizer": "<|endoftext|>"},
    faceid="ip-adapter-faceid_sd15.safetensors",
    hidden=(*[320] * 2, *[640] * 2, *[1280] * 2, *[1280] * 3, *[640] * 3, *[320] * 3, 1280),
    index={
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    },
    old_vae_keys=True,
)  # fmt: skip
SDXL = PublicModel(
    name="sdxl-shape",
    size=1024,
    pipeline="StableDiffusionXLPipeline",
    scheduler={
        "_class_name": "EulerDiscreteScheduler", **_NOISE, "interpolation_type": "linear",
        "prediction_type": "epsilon", "timestep_spacing": "leading", "use_karras_sigmas": False,
    },
    unet={
        **_UNET, "addition_embed_type": "text_time", "addition_embed_type_num_heads": 64,
        "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048,
        "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
        "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
        "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": True,
        "up_block_types": [*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
    },
    vae={**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
    text_encoders={"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_BIGG},
    pads={"tokenizer": "<|endoftext|>", "tokenizer_2": "!"},
    faceid="ip-adapter-faceid_sdxl.safetensors",
    hidden=(*[640] * 4, *[1280] * 20, *[1280] * 30, *[640] * 6, *[1280] * 10),
    index={"force_zeros_for_empty_prompt": True, "add_watermarker": None},
)  # fmt: skip
MODELS = {model.name: model for model in (SD15, SDXL)}


def unet_shapes(model: PublicModel) -> Shapes:
    """Keys and shapes of unet/diffusion_pytorch_model.safetensors."""
    with torch.device("meta"):
        return _shapes(UNet2DConditionModel.from_config(dict(model.unet)))


def vae_shapes(model: PublicModel) -> Shapes:
    """Keys and shapes of vae/diffusion_pytorch_model.safetensors. The file of Stable Diffusion 1.5
    is older than today's names for attention.
    """
    with torch.device("meta"):
        shapes = _shapes(AutoencoderKL.from_config(dict(model.vae)))
    if not model.old_vae_keys:
        return shapes
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    for new, name in old.items():
        shapes = {key.replace(new, name): shape for key, shape in shapes.items()}
    return shapes


def text_shapes(config: Mapping[str, object]) -> Shapes:
    """Keys and shapes of text_encoder/model.safetensors, which begin with `text_model.`."""
    kinds = {one.__name__: one for one in (CLIPTextModel, CLIPTextModelWithProjection)}
    (name,) = config["architectures"]  # type: ignore[misc]
    with torch.device("meta"):
        shapes = _shapes(kinds[name](CLIPTextConfig(**config)))  # type: ignore[arg-type]
    outside = ("text_model.", "text_projection.")
    return {
        key if key.startswith(outside) else f"text_model.{key}": shape
        for key, shape in shapes.items()
    }


def faceid_shapes(model: PublicModel) -> Shapes:
    """Keys and shapes of the FaceID file: four tokens of a face, K and V of every cross-attention,
    and a LoRA of every attention. Attention is numbered self, cross, self, cross …
    """
    width = model.width
    shapes: Shapes = {
        "image_proj.proj.0.weight": (1024, 512),
        "image_proj.proj.0.bias": (1024,),
        "image_proj.proj.2.weight": (IDENTITY_TOKENS * width, 1024),
        "image_proj.proj.2.bias": (IDENTITY_TOKENS * width,),
        "image_proj.norm.weight": (width,),
        "image_proj.norm.bias": (width,),
    }
    numbers = count()
    for hidden in model.hidden:
        for source in (hidden, width):
            number = next(numbers)
            for part, narrow in (("q", hidden), ("k", source), ("v", source), ("out", hidden)):
                key = f"ip_adapter.{number}.to_{part}_lora"
                shapes[f"{key}.down.weight"] = (RANK, narrow)
                shapes[f"{key}.up.weight"] = (hidden, RANK)
        for part in ("k", "v"):
            shapes[f"ip_adapter.{number}.to_{part}_ip.weight"] = (hidden, width)
    return shapes


def write_public_bundle(directory: Path, model: PublicModel, seed: int = 0) -> Path:
    """Write a sealed bundle into `directory` and give it back: SD1.5 is 2.2 GB, SDXL 8 GB."""
    pipeline = directory / "pipeline"
    write_pipeline(pipeline, model, seed)
    write_weights(directory / "ip-adapter" / model.faceid, faceid_shapes(model), seed)
    write_faces(directory / "faces", np.random.default_rng(seed))
    return seal_public(directory, model)


def seal_public(directory: Path, model: PublicModel) -> Path:
    """Write the manifest of what lies there."""
    parts = {
        "pipeline": ComponentKind.PIPELINE,
        "ip-adapter": ComponentKind.IDENTITY,
        "faces": ComponentKind.FACES,
    }
    description = BundleDescription(
        name=model.name,
        title="Random weights in a public model's shape",
        licence="Apache-2.0",
        size=model.size,
        defaults=Defaults(steps=2),
        faces=FacesSettings(detector_sizes=((128, 128),), smallest_face=24),
        component=tuple(
            ComponentDescription(
                name=name, path=name, kind=kind, source="random weights", revision="0",
                licence="Apache-2.0",
            )
            for name, kind in parts.items()
        ),
    )  # fmt: skip
    seal_bundle(directory, description)
    return directory


def write_pipeline(directory: Path, model: PublicModel, seed: int = 0) -> None:
    """The pipeline in diffusers' layout, file by file as published."""
    classes = {name: ["transformers", "CLIPTokenizer"] for name in model.pads}
    for name, config in model.text_encoders.items():
        (kind,) = config["architectures"]  # type: ignore[misc]
        classes[name] = ["transformers", kind]
        _write_json(directory / name / "config.json", config)
        shapes = text_shapes(config)
        write_weights(directory / name / "model.safetensors", shapes, seed, position_ids=True)
    for name, pad in model.pads.items():
        _write_tokenizer(directory / name, pad)
    for name, config in (("unet", model.unet), ("vae", model.vae)):
        classes[name] = ["diffusers", str(config["_class_name"])]
        _write_json(directory / name / "config.json", config)
        shapes = unet_shapes(model) if name == "unet" else vae_shapes(model)
        write_weights(directory / name / "diffusion_pytorch_model.safetensors", shapes, seed)
    _write_json(directory / "scheduler" / "scheduler_config.json", model.scheduler)
    classes["scheduler"] = ["diffusers", str(model.scheduler["_class_name"])]
    index = {"_class_name": model.pipeline, **model.index, **classes}
    _write_json(directory / "model_index.json", index)


def share_files(directory: Path, place: Path) -> Path:
    """Another bundle of the same pipeline and faces, by links to the same files; no adapter yet.

    A file is to be unlinked before it is written anew.
    """
    for part in ("pipeline", "faces"):
        shutil.copytree(directory / part, place / part, copy_function=os.link)
    return place


def with_another_face(directory: Path, place: Path, model: PublicModel) -> Path:
    """The same files, but for the adapter's."""
    share_files(directory, place)
    write_weights(place / "ip-adapter" / model.faceid, faceid_shapes(model), seed=1)
    return seal_public(place, model)


def write_weights(file: Path, shapes: Shapes, seed: int = 0, *, position_ids: bool = False) -> None:
    """Random float16 weights as safetensors: norms are 1, biases 0, matrices keep the size of what
    goes through them. position_ids: with the table that CLIP's files carry and nobody reads.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for key, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    positions = np.arange(77, dtype=np.int64) if position_ids else np.empty(0, np.int64)
    if position_ids:
        header["text_model.embeddings.position_ids"] = {
            "dtype": "I64", "shape": [1, 77], "data_offsets": [end, end + positions.nbytes],
        }  # fmt: skip
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        for key, shape in shapes.items():
            for part in _values(key, shape, seed):
                stream.write(part)
        stream.write(positions.tobytes())


def _values(key: str, shape: tuple[int, ...], seed: int) -> Iterator[bytes | memoryview]:
    size = prod(shape)
    if len(shape) == 1:
        constant = 0.0 if key.endswith("bias") else 1.0
        yield np.full(size, constant, np.float16).tobytes()
        return
    scale = prod(shape[1:]) ** -0.5
    if "_lora.up" in key or "embedding.weight" in key:
        scale *= 0.1
    block = memoryview(_block(seed, scale))
    for start in range(0, size, _BLOCK):
        yield block[: 2 * min(_BLOCK, size - start)]


@cache
def _block(seed: int, scale: float) -> bytes:
    values = np.random.default_rng(seed).standard_normal(_BLOCK, dtype=np.float32) * scale
    return values.astype(np.float16).tobytes()


def _shapes(module: torch.nn.Module) -> Shapes:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def _write_tokenizer(directory: Path, pad: str) -> None:
    """vocab.json and merges.txt as CLIP's, of 49,408 pieces; most of them stand for nothing."""
    pieces, merges = word_pieces()
    fillers = (f"filler{number}</w>" for number in count())
    pieces = [*pieces, *(next(fillers) for _ in range(49406 - len(pieces)))]
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    vocabulary = {piece: number for number, piece in enumerate([*pieces, *ends.values()])}
    _write_json(directory / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (directory / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {**ends, "unk_token": "<|endoftext|>", "pad_token": pad}
    _write_json(directory / "special_tokens_map.json", special)
    settings = {
        **special, "add_prefix_space": False, "do_lower_case": True, "errors": "replace",
        "model_max_length": 77, "tokenizer_class": "CLIPTokenizer",
    }  # fmt: skip
    _write_json(directory / "tokenizer_config.json", settings)


def _write_json(file: Path, content: Mapping[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
