"""int8 for the denoiser's large linear layers, by torchao; and how much loss of it is let pass.

Weights are symmetric int8 with one scale for each output channel; activations become int8 at each
call, with one scale for each token (Dettmers et al., 2022, without its outlier path), so that the
product is int8 × int8. Convolutions, time embedding and what makes keys and values stay as they
are: K and V are made once for a conditioning, and are the same bits as the unquantised model's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import nn

from models.errors import DeviceUnavailable, PrecisionRefused
from models.held_tensors import inner_tensors, size_bytes
from models.quiet import quiet_torchao

LEAST_FEATURES: Final = 64  # narrower layers cost more to quantise than they save
MULTIPLE: Final = 16  # CUDA's int8 products want widths of this grid
LEAST_PSNR_DB: Final = (
    30.0  # of portraits against the unquantised model's, by the mean square error of all
)


@dataclass(frozen=True)
class Quantised:
    """What was made int8. layers: how many; before_bytes, after_bytes: their weights' size."""

    layers: int
    before_bytes: int
    after_bytes: int


def quantise_denoiser(unet: nn.Module) -> Quantised:
    """Make the weights of the UNet's large linear layers int8, in place and for good: load the
    bundle anew for the others. Call it last, after adapters and their LoRA are loaded.

    A UNet that is quantised already is left as it is. Raises DeviceUnavailable without torchao.
    """
    chosen = {id(layer) for _, layer in quantisable(unet)}
    if not chosen:
        return Quantised(0, 0, 0)
    with quiet_torchao():
        try:
            from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
        except ImportError as error:
            raise DeviceUnavailable(
                "precision int8 needs torchao: pip install 'limner[int8]', or give another"
            ) from error
        layers = [layer for _, layer in quantisable(unet)]
        before = sum(size_bytes(layer.weight) for layer in layers)
        quantize_(
            unet, Int8DynamicActivationInt8WeightConfig(), filter_fn=lambda m, _: id(m) in chosen
        )
    after = sum(size_bytes(layer.weight) for layer in layers)
    return Quantised(len(layers), before, after)


def quantisable(unet: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of the UNet's transformer blocks that int8 is for, by name: those of
    self-attention, of cross-attention's queries and outputs, and of the feed-forward. Layers that
    are quantised already are not among them.
    """
    given = {
        id(part)
        for module in unet.modules()
        if isinstance(module, Attention) and module.is_cross_attention
        for projection in (module.to_k, module.to_v, module.processor)
        if isinstance(projection, nn.Module)
        for part in projection.modules()
    }
    for name, block in unet.named_modules():
        if isinstance(block, BasicTransformerBlock):
            for inner, layer in block.named_modules(prefix=name):
                if type(layer) is nn.Linear and id(layer) not in given and _pays(layer):
                    yield inner, layer


def weight_bytes(*modules: nn.Module) -> int:
    """Bytes that the parameters and buffers of models take, as they are held: int8 and scales."""
    return sum(
        size_bytes(tensor)
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    )


def loss_refusal(psnr_db: float, least_db: float = LEAST_PSNR_DB) -> str | None:
    """Why a quantised model is refused that draws at this PSNR of the unquantised; None: it isn't.

    psnr_db: of portraits of the same seeds; inf where they are the same, NaN where they are none.
    """
    if psnr_db >= least_db:
        return None
    told = "not finite" if math.isnan(psnr_db) else f"{psnr_db:.1f} dB from the unquantised ones"
    return f"its portraits are {told}, the floor is {least_db:g} dB"


def check_loss(psnr_db: float, least_db: float = LEAST_PSNR_DB) -> None:
    """Raises PrecisionRefused where `loss_refusal` has a reason."""
    if reason := loss_refusal(psnr_db, least_db):
        raise PrecisionRefused(f"int8 is refused: {reason}; give another precision")


def _pays(layer: nn.Linear) -> bool:
    if len(inner_tensors(layer.weight)) != 1 or not layer.weight.is_floating_point():
        return False
    widths = (layer.in_features, layer.out_features)
    return min(widths) >= LEAST_FEATURES and all(width % MULTIPLE == 0 for width in widths)
