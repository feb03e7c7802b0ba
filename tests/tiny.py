"""A bundle of random weights in the standard layouts, small enough to build in a second.

It loads through diffusers, transformers and InsightFace like any other bundle, and draws noise. Its
detector is written by hand, so that tests know what it finds: one face in the middle of any picture
that is not dark there, two side by side in a picture at least twice as wide as high, none in a
black one. Its recogniser is a fixed random projection: equal pictures have equal embeddings.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models import (
    BundleDescription,
    ComponentDescription,
    ComponentKind,
    Defaults,
    Draws,
    FacesSettings,
    FewSteps,
    seal_bundle,
)

SIZE = 128  # pixels
WIDTH = 32  # of one encoder's text states
POOLED = 24  # of SDXL's pooled text
TOKENS = 4  # identity tokens
WORDS = """portrait of a man woman age smiling neutral surprised sad glasses beard hat earrings no
black brown blond ginger hair red white purple orange teal shirt blue green pink yellow park beach
sunset night grey background light from the left right front facing young middle aged old person
with wearing in , . 0 1 2 3 4 5 6 7 8 9"""
HEADS = {
    "gender": ["man", "woman"],
    "age": ["young", "middle", "old"],
    "expression": ["neutral", "smiling", "surprised", "sad"],
    "glasses": ["no", "yes"],
    "beard": ["no", "yes"],
    "hat": ["no", "yes"],
    "earrings": ["no", "yes"],
    "hair": ["black", "brown", "blond", "ginger"],
    "clothing": ["red", "white", "purple", "orange", "teal"],
    "background": [
        "blue", "green", "pink", "yellow", "park", "beach", "sunset", "night", "grey",
    ],
    "light": ["front", "left", "right"],
}  # fmt: skip

Array = NDArray[np.float32] | NDArray[np.int64]


def build_tiny_bundle(
    directory: Path, seed: int = 0, lora: bool = False, family: str = "sd15"
) -> Path:
    """Write a sealed bundle of random weights into `directory` and give it back.

    lora: the FaceID file also carries LoRA weights, as the public one does. family: sd15 or sdxl.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        write = {"sd15": _write_pipeline, "sdxl": _write_sdxl_pipeline}[family]
        unet = write(directory / "pipeline")
        _write_identity(directory / "ip-adapter", unet, lora)
        write_faces(directory / "faces", rng)
        _write_clip(directory / "clip")
        _write_judges(directory / "judges", rng)
    seal_bundle(directory, _description())
    return directory


def _description() -> BundleDescription:
    parts = {
        "pipeline": ComponentKind.PIPELINE,
        "ip-adapter": ComponentKind.IDENTITY,
        "faces": ComponentKind.FACES,
        "clip": ComponentKind.CLIP,
        "judges": ComponentKind.JUDGES,
    }
    return BundleDescription(
        name="tiny",
        title="Random weights for tests",
        licence="Apache-2.0",
        size=SIZE,
        draws=Draws(
            people="drawn",
            hint="this bundle draws drawn people; for photographs: limner models pull sd15-faceid",
        ),
        defaults=Defaults(
            steps=3,
            guidance_scale=2.5,
            identity_scale=1.0,
            strength=0.6,
            few_steps=FewSteps(steps=2, scheduler="dpm++2m"),
        ),
        faces=FacesSettings(detector_sizes=((128, 128),), smallest_face=24),
        component=tuple(
            ComponentDescription(
                name=name,
                path=name,
                kind=kind,
                source="random weights",
                revision="0",
                licence="Apache-2.0",
            )
            for name, kind in parts.items()
        ),
    )


def tiny_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """CLIP's byte-level BPE with a few whole words; anything else is spelled in letters."""
    pieces, merges = word_pieces()
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77, pad_token=pad)


def word_pieces() -> tuple[list[str], list[tuple[str, str]]]:
    """The letters, and what they are merged to on the way to the few words; and these merges."""
    letters = [*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 324))]
    pieces = letters + [f"{letter}</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in WORDS.split():
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merge = (parts[0], parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
            if merge not in merges:
                merges.append(merge)
                pieces.append("".join(merge))
    return list(dict.fromkeys(pieces)), merges


def _write_pipeline(directory: Path) -> UNet2DConditionModel:
    tokenizer = tiny_tokenizer()
    text_encoder = CLIPTextModel(_text_config(tokenizer, WIDTH))
    unet = UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=4,
    )
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for model in (vae, text_encoder, unet):
        model.half()
    pipeline.save_pretrained(directory, safe_serialization=True)
    return unet


def _text_config(tokenizer: CLIPTokenizer, projection: int, layers: int = 2) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=projection,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _write_sdxl_pipeline(directory: Path) -> UNet2DConditionModel:
    """Two encoders, the second one's prompts padded with "!", and an autoencoder that upcasts."""
    first, second = tiny_tokenizer(), tiny_tokenizer(pad="!")
    unet = UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        cross_attention_dim=2 * WIDTH,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + POOLED,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=4,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    text_encoders = (
        CLIPTextModel(_text_config(first, WIDTH)),
        CLIPTextModelWithProjection(_text_config(second, POOLED, layers=3)),
    )
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=text_encoders[0],
        text_encoder_2=text_encoders[1],
        tokenizer=first,
        tokenizer_2=second,
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            timestep_spacing="leading",
            steps_offset=1,
        ),
        add_watermarker=False,
    )
    for model in (vae, *text_encoders, unet):
        model.half()
    pipeline.save_pretrained(directory, safe_serialization=True)
    return unet


def _write_identity(directory: Path, unet: UNet2DConditionModel, lora: bool) -> None:
    directory.mkdir(exist_ok=True)
    width = int(unet.config.cross_attention_dim)
    weights = {
        "image_proj.proj.0.weight": torch.randn(512, 512) / 512**0.5,
        "image_proj.proj.0.bias": torch.zeros(512),
        "image_proj.proj.2.weight": torch.randn(TOKENS * width, 512) / 512**0.5,
        "image_proj.proj.2.bias": torch.zeros(TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for index, name in enumerate(unet.attn_processors):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        if name.endswith("attn2.processor"):
            for part, projection in (("to_k_ip", attention.to_k), ("to_v_ip", attention.to_v)):
                shape = projection.weight.shape
                weights[f"ip_adapter.{index}.{part}.weight"] = torch.randn(shape) / shape[1] ** 0.5
        if lora:
            projections = {
                "to_q_lora": attention.to_q,
                "to_k_lora": attention.to_k,
                "to_v_lora": attention.to_v,
                "to_out_lora": attention.to_out[0],
            }
            for part, projection in projections.items():
                wide, narrow = projection.weight.shape
                weights[f"ip_adapter.{index}.{part}.down.weight"] = 0.1 * torch.randn(4, narrow)
                weights[f"ip_adapter.{index}.{part}.up.weight"] = 0.1 * torch.randn(wide, 4)
    half = {key: value.half().contiguous() for key, value in weights.items()}
    save_file(half, directory / "ip-adapter-faceid.safetensors")


def _write_clip(directory: Path) -> None:
    vision = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=64,
            patch_size=16,
            projection_dim=WIDTH,
        )
    )
    vision.half().save_pretrained(directory / "image_encoder")
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 64},
        "crop_size": {"height": 64, "width": 64},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    file = directory / "image_encoder" / "preprocessor_config.json"
    file.write_text(json.dumps(preprocessor, indent=2), encoding="utf-8")
    projection = torch.randn(WIDTH, WIDTH) / WIDTH**0.5
    save_file(
        {"text_projection.weight": projection.half(), "logit_scale": torch.tensor(2.66).half()},
        directory / "text_projection.safetensors",
    )


def write_faces(directory: Path, rng: np.random.Generator) -> None:
    """A face pack in InsightFace's layout."""
    directory.mkdir(exist_ok=True)
    onnx.save(tiny_detector(), directory / "det.onnx")
    onnx.save(tiny_projection(rng, 112, 14, 512, "embedding"), directory / "rec.onnx")


def _write_judges(directory: Path, rng: np.random.Generator) -> None:
    directory.mkdir(exist_ok=True)
    onnx.save(tiny_projection(rng, 112, 16, 512, "embedding"), directory / "recogniser.onnx")
    classes = sum(len(names) for names in HEADS.values())
    onnx.save(tiny_projection(rng, 96, 12, classes, "logits"), directory / "attributes.onnx")
    heads = "\n".join(f"{name} = {json.dumps(names)}" for name, names in HEADS.items())
    text = f"schema = 1\n\n[attributes]\nsize = 96\n\n[attributes.heads]\n{heads}\n"
    (directory / "judges.toml").write_text(text, encoding="utf-8")


def tiny_projection(
    rng: np.random.Generator, side: int, stride: int, width: int, output: str
) -> onnx.ModelProto:
    """[n, 3, side, side] → [n, width]: one strided convolution, a rectifier, one matrix."""
    grid = side // stride
    kernel = rng.normal(0, 0.05, (8, 3, stride, stride)).astype(np.float32)
    matrix = rng.normal(0, 1 / (grid * 8**0.5), (8 * grid * grid, width)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["grid"], strides=[stride, stride]),
        helper.make_node("Relu", ["grid"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], [output]),
    ]
    return _model(
        nodes,
        {"image": ["n", 3, side, side]},
        {output: ["n", width]},
        {"kernel": kernel, "matrix": matrix},
    )


def tiny_detector() -> onnx.ModelProto:
    """[1, 3, 128, 128] → SCRFD's nine outputs: scores, boxes, points at strides 8, 16, 32."""
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["pooled"], kernel_shape=[32, 32], strides=[32, 32]
        ),
        helper.make_node("ReduceMean", ["pooled"], ["bright"], axes=[1], keepdims=1),
        helper.make_node("Reshape", ["bright", "cells"], ["brightness"]),  # [16, 1]
        # Logits: gain · (routing · brightness) + bias, for each of the 32 anchors of stride 32.
        helper.make_node("MatMul", ["routing", "brightness"], ["routed"]),
        helper.make_node("Add", ["routed", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["score_32"]),
    ]
    routing = np.zeros((32, 16), dtype=np.float32)
    bias = np.full((32, 1), -20.0, dtype=np.float32)
    # The middle: the cell whose anchor is at (64, 64), bright where the picture is.
    routing[2 * (2 * 4 + 2), 2 * 4 + 2] = 100.0
    bias[2 * (2 * 4 + 2)] = 90.0
    # Side by side: anchors at (32, 32) and (96, 32), only where the lower half is padding.
    for column in (1, 3):
        anchor = 2 * (1 * 4 + column)
        routing[anchor, [1 * 4 + column - 1]] = 100.0
        routing[anchor, 12:16] = -250.0
        bias[anchor] = 90.0 - 996.0
    constants: dict[str, Array] = {"routing": routing, "bias": bias}
    outputs: dict[str, list[int | str]] = {}
    shapes = {stride: 2 * (SIZE // stride) ** 2 for stride in (8, 16, 32)}
    for stride, anchors in shapes.items():
        outputs[f"score_{stride}"] = [anchors, 1]
        if stride != 32:
            constants[f"quiet_{stride}"] = np.zeros((anchors, 1), dtype=np.float32)
            nodes.append(helper.make_node("Identity", [f"quiet_{stride}"], [f"score_{stride}"]))
    box = np.tile(np.array([40, 48, 40, 48]) / 32, (32, 1))
    points = np.tile(np.array([-18, -12, 18, -12, 0, 8, -14, 26, 14, 26]) / 32, (32, 1))
    side = [2 * (1 * 4 + column) + k for column in (1, 3) for k in (0, 1)]
    box[side] *= 0.6
    points[side] *= 0.6
    for name, values in (("box", box), ("points", points)):
        for stride, anchors in shapes.items():
            whole = values if stride == 32 else np.zeros((anchors, values.shape[1]), np.float32)
            constants[f"{name}_constant_{stride}"] = whole.astype(np.float32)
            outputs[f"{name}_{stride}"] = [anchors, values.shape[1]]
            nodes.append(
                helper.make_node("Identity", [f"{name}_constant_{stride}"], [f"{name}_{stride}"])
            )
    constants["cells"] = np.array([16, 1], dtype=np.int64)
    return _model(nodes, {"image": [1, 3, SIZE, SIZE]}, outputs, constants)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    constants: dict[str, Array],
) -> onnx.ModelProto:
    def values(shapes: dict[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(
        nodes,
        "tiny",
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    print(build_tiny_bundle(Path(sys.argv[1])))
