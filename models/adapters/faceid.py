"""FaceID on a UNet: its projection and processors put in by diffusers, and taken out by us.

diffusers' own way out leaves the LoRA on, and new processors in the place of those that were there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffusers.models.attention_processor import AttnProcessor2_0

from models.adapters.lora import LoraWeights, lora_of
from models.errors import AdapterRejected
from models.identity import FaceIDWeights
from models.quiet import quiet_libraries

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from torch import nn


@dataclass(frozen=True, eq=False)
class Attachment:
    """What a UNet's attention is computed by, and what projects its conditions."""

    processors: dict[str, Any]
    projection: nn.Module | None
    projection_kind: str | None

    @classmethod
    def of(cls, unet: UNet2DConditionModel) -> Attachment:
        """As it is now; the objects themselves."""
        return cls(
            dict(unet.attn_processors), unet.encoder_hid_proj, unet.config.encoder_hid_dim_type
        )

    def restore(self, unet: UNet2DConditionModel, whole: bool = True) -> None:
        """Make it so again. whole: self-attention too, where a FaceID has no part, but others may
        have put something meanwhile.
        """
        processors = {
            name: self.processors[name] if whole or name.endswith("attn2.processor") else each
            for name, each in unet.attn_processors.items()
        }
        unet.set_attn_processor(processors)  # which empties what it is given
        unet.encoder_hid_proj = self.projection
        unet.config.encoder_hid_dim_type = self.projection_kind


def attach(unet: UNet2DConditionModel, weights: FaceIDWeights) -> None:
    """Put a FaceID's projection and cross-attention into a UNet that has none; not its LoRA.

    weights: checked. Raises AdapterRejected where the UNet has an adapter already. What fails may
    leave half of it: restore the UNet's Attachment then.
    """
    if unet.encoder_hid_proj is not None:
        raise AdapterRejected(
            f"{weights.file} cannot be added: the UNet has an IP-Adapter that was not added here; "
            "unload that first, and its LoRA"
        )
    # diffusers makes new processors for self-attention as well, without their settings, and fails
    # where they need some.
    former = Attachment.of(unet).processors
    own = {name: each for name, each in former.items() if not name.endswith("attn2.processor")}
    unet.set_attn_processor({**former, **{name: AttnProcessor2_0() for name in own}})
    with quiet_libraries():
        unet._load_ip_adapter_weights(
            [{"image_proj": weights.image_proj, "ip_adapter": weights.ip_adapter}],
            low_cpu_mem_usage=True,
        )
    processors = {**unet.attn_processors, **own}
    brought = [
        unet.encoder_hid_proj,
        *(processors[name] for name in processors.keys() - own.keys()),
    ]
    unet.set_attn_processor(processors)
    for module in brought:
        module.train(unet.training).requires_grad_(False)


def faceid_lora(weights: FaceIDWeights) -> LoraWeights | None:
    """The LoRA in a FaceID's file, if it has one. Raises AdapterRejected for half a one."""
    lora = {key: tensor for key, tensor in weights.ip_adapter.items() if "_lora." in key}
    return lora_of(lora, str(weights.file)) if lora else None
