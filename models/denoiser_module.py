"""The denoiser as one graph of flat tensors, which may be left early and entered late.

A UNet's outermost blocks see the picture at full resolution, all others its deep features. These
change little from one step to the next (DeepCache, arXiv:2312.00858), so a step may take them from
the step before and compute the outermost blocks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from models.denoiser_view import Given


class Drawn(NamedTuple):
    """The noise of rows, and the deep features it was made from: [rows, channels, h, w] both."""

    noise: Tensor
    deep: Tensor


class DenoiserModule(nn.Module):
    """The denoiser for torch.export, torch.compile, ONNX, TensorRT: every input has rows first.

    It holds no weights that project K and V: those are inputs, packed as KeyValues have them. What
    it computes is UNet2DConditionModel's own forward, through diffusers' own blocks.
    """

    def __init__(self, view: nn.Module) -> None:
        super().__init__()
        self.unet: Any = view

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        text: Tensor,
        identity: Tensor | None = None,
        identity_scales: Tensor | None = None,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
    ) -> Tensor:
        """Noise [rows, channels, height, width]."""
        given = Given(text, identity, identity_scales)
        return self.whole(latents, timesteps, given, text_embeds, time_ids).noise

    def whole(
        self,
        latents: Tensor,
        timesteps: Tensor,
        given: Given,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
    ) -> Drawn:
        """The noise, and what `shallow` may take in the place of all inner blocks."""
        unet = self.unet
        embedded = self._embedded(latents, timesteps, text_embeds, time_ids)
        inner, skips = self._outermost_down(latents, embedded, given)
        # The outermost block's own end, and every block inside of it.
        for down in getattr(unet.down_blocks[0], "downsamplers", None) or ():
            inner = down(inner)
            skips.append(inner)
        for block in unet.down_blocks[1:]:
            inner, more = _block(block, inner, embedded, given)
            skips.extend(more)
        if unet.mid_block is not None:
            inner = _mid(unet.mid_block, inner, embedded, given)
        uneven = any(side % 2**unet.num_upsamplers for side in latents.shape[-2:])
        for block in unet.up_blocks[:-1]:
            taken = _taken(block, skips)
            size = skips[-1].shape[2:] if uneven else None
            inner = _up(block, inner, embedded, given, taken, size)
        return Drawn(self._outermost_up(inner, embedded, given, skips), inner)

    def shallow(
        self,
        latents: Tensor,
        timesteps: Tensor,
        given: Given,
        deep: Tensor,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
    ) -> Tensor:
        """The noise by the outermost blocks alone. deep: an earlier step's, of the same rows."""
        embedded = self._embedded(latents, timesteps, text_embeds, time_ids)
        _, skips = self._outermost_down(latents, embedded, given)
        return self._outermost_up(deep, embedded, given, skips)

    def _embedded(
        self,
        latents: Tensor,
        timesteps: Tensor,
        text_embeds: Tensor | None,
        time_ids: Tensor | None,
    ) -> Tensor:
        unet = self.unet
        embedded = unet.time_embedding(unet.get_time_embed(latents, timesteps), None)
        if text_embeds is not None:
            added = {"text_embeds": text_embeds, "time_ids": time_ids}
            embedded = embedded + unet.get_aug_embed(embedded, None, added)
        if unet.time_embed_act is not None:
            embedded = unet.time_embed_act(embedded)
        return cast("Tensor", embedded)

    def _outermost_down(
        self, latents: Tensor, embedded: Tensor, given: Given
    ) -> tuple[Tensor, list[Tensor]]:
        """The first block without its downsampler: its end, and what the last block will need."""
        unet = self.unet
        if unet.config.center_input_sample:
            latents = 2 * latents - 1.0
        inner = unet.conv_in(latents)
        skips = [inner]
        block = unet.down_blocks[0]
        attentions: Sequence[Any] = getattr(block, "attentions", ()) or [None] * len(block.resnets)
        for resnet, attention in zip(block.resnets, attentions, strict=True):
            inner = resnet(inner, embedded)
            if attention is not None:
                inner = attention(inner, encoder_hidden_states=given, return_dict=False)[0]
            skips.append(inner)
        return inner, skips

    def _outermost_up(
        self, deep: Tensor, embedded: Tensor, given: Given, skips: list[Tensor]
    ) -> Tensor:
        unet = self.unet
        block = unet.up_blocks[-1]
        sample = _up(block, deep, embedded, given, _taken(block, skips), None)
        if unet.conv_norm_out is not None:
            sample = unet.conv_act(unet.conv_norm_out(sample))
        return cast("Tensor", unet.conv_out(sample))


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))


def _block(
    block: Any, inner: Tensor, embedded: Tensor, given: Given
) -> tuple[Tensor, tuple[Tensor, ...]]:
    words = {"encoder_hidden_states": given} if _attends(block) else {}
    ended: tuple[Tensor, tuple[Tensor, ...]] = block(hidden_states=inner, temb=embedded, **words)
    return ended


def _mid(block: Any, inner: Tensor, embedded: Tensor, given: Given) -> Tensor:
    words = {"encoder_hidden_states": given} if _attends(block) else {}
    return cast("Tensor", block(inner, embedded, **words))


def _up(
    block: Any,
    inner: Tensor,
    embedded: Tensor,
    given: Given,
    taken: tuple[Tensor, ...],
    size: Sequence[int] | None,
) -> Tensor:
    words = {"encoder_hidden_states": given} if _attends(block) else {}
    ended = block(
        hidden_states=inner,
        temb=embedded,
        res_hidden_states_tuple=taken,
        upsample_size=size,
        **words,
    )
    return cast("Tensor", ended)


def _taken(block: Any, skips: list[Tensor]) -> tuple[Tensor, ...]:
    """What an up block takes of the down blocks' ends, the last ones first."""
    count = len(block.resnets)
    taken = tuple(skips[-count:])
    del skips[-count:]
    return taken
