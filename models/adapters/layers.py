"""Which layer of a pipeline a LoRA's key means: every trainer's spelling of every layer.

The spellings are made from the models themselves, so a key either names a layer or is unknown;
nothing is guessed from a key. Names of the original code (LDM, SDXL's sgm) follow from the order of
a UNet's blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from torch import nn

_PEFT: Final = ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")
_ELSEWHERE: Final = ("processor", "encoder_hid_proj", "text_encoder_hid_proj")
_RESNET: Final = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_ALONE: Final = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_PROJECTIONS: Final = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out.0": "to_out"}
_TEXT_PROJECTIONS: Final = {
    "q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out",
}  # fmt: skip


def layers_by_spelling(unet: Any, text_encoders: Sequence[nn.Module]) -> dict[str, nn.Module]:
    """Every linear layer and convolution by all names that LoRA files have for it.

    unet: a UNet2DConditionModel. text_encoders: CLIP's, in the pipeline's order, at most two.
    """
    found: dict[str, nn.Module] = {}
    originals = _original_prefixes(unet)
    for name, module in _changeable(unet):
        for spelling in _unet_spellings(name, _original(name, originals)):
            found[spelling] = module
    for index, name in enumerate(unet.attn_processors):
        attention = name.removesuffix(".processor")
        for inner, short in _PROJECTIONS.items():
            if (layer := found.get(f"unet.{attention}.{inner}")) is not None:
                found[f"{index}.{short}"] = layer  # as FaceID's file counts
    for number, encoder in enumerate(text_encoders, start=1):
        for name, module in _changeable(encoder):
            for spelling in _text_spellings(name, number):
                found[spelling] = module
    return found


def _changeable(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear layers and convolutions, also beneath peft; not what an adapter has brought."""
    for name, module in model.named_modules():
        parts = name.split(".")
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not any(
            part in _PEFT or part in _ELSEWHERE for part in parts
        ):
            yield ".".join(part for part in parts if part != "base_layer"), module


def _unet_spellings(name: str, original: str | None) -> Iterator[str]:
    dotted = [name]
    for inner, short in _PROJECTIONS.items():
        if name.endswith((f"attn1.{inner}", f"attn2.{inner}")):
            dotted.append(f"{name.removesuffix(inner)}processor.{short}")
    for each in dotted:
        yield from (each, f"unet.{each}", f"base_model.model.{each}")
    yield f"lora_unet_{_underscored(name)}"
    if original is not None:
        yield f"diffusion_model.{original}"
        yield f"lora_unet_{_underscored(original)}"


def _text_spellings(name: str, number: int) -> Iterator[str]:
    """number: 1 for the pipeline's first text encoder, 2 for its second."""
    first = number == 1
    dotted = "text_encoder" if first else f"text_encoder_{number}"
    kohya = ("lora_te", "lora_te1") if first else (f"lora_te{number}",)
    inner = name.removeprefix("text_model.")
    names = [inner] if inner.startswith("text_projection") else [inner, f"text_model.{inner}"]
    for each in names:
        for prefix in kohya:
            yield f"{prefix}_{_underscored(each)}"
        yield f"{dotted}.{each}"
        stem, _, last = each.rpartition(".")
        if last in _TEXT_PROJECTIONS:
            yield f"{dotted}.{stem}.{_TEXT_PROJECTIONS[last]}"


def _underscored(name: str) -> str:
    return name.replace(".", "_")


def _original_prefixes(unet: Any) -> dict[str, str]:
    """What the original code calls the parts of a UNet, by diffusers' names of them."""
    prefixes, position = dict(_ALONE), 0  # the first input block is conv_in
    for block_number, block in enumerate(unet.down_blocks):
        own = f"down_blocks.{block_number}"
        for number in range(len(block.resnets)):
            position += 1
            prefixes |= _pair(own, number, f"input_blocks.{position}")
        if getattr(block, "downsamplers", None):
            position += 1
            prefixes[f"{own}.downsamplers.0.conv"] = f"input_blocks.{position}.0.op"
    for number, name in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        prefixes[f"mid_block.{name}"] = f"middle_block.{number}"
    position = -1
    for block_number, block in enumerate(unet.up_blocks):
        own = f"up_blocks.{block_number}"
        for number in range(len(block.resnets)):
            position += 1
            prefixes |= _pair(own, number, f"output_blocks.{position}")
        if getattr(block, "upsamplers", None):
            place = 2 if getattr(block, "attentions", None) else 1
            prefixes[f"{own}.upsamplers.0.conv"] = f"output_blocks.{position}.{place}.conv"
    return prefixes


def _pair(block: str, number: int, original: str) -> dict[str, str]:
    """A resnet and the attention after it, which the original keeps in one block."""
    return {
        f"{block}.resnets.{number}": f"{original}.0",
        f"{block}.attentions.{number}": f"{original}.1",
    }


def _original(name: str, prefixes: dict[str, str]) -> str | None:
    if name in prefixes:
        return prefixes[name]
    prefix = ".".join(name.split(".")[: 3 if name.startswith("mid_block") else 4])
    if prefix not in prefixes:
        return None
    inner = name.removeprefix(f"{prefix}.")
    return f"{prefixes[prefix]}.{_RESNET.get(inner, inner)}"
