"""What an engine remembers of prompts: their text states, and the order they are best said in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cache import LayoutMonitor, PrefixPool, PromptUse, SegmentOrder, SegmentUse
from fusion.stages.condition import padded
from fusion.trace import Notes
from models import PrefixCachedTextEncoder, load_pool, save_pool
from prompting import Layout, PromptPlan, Tokenizer, count_tokens, joined

_WARMED: Final = 32  # prompts encoded ahead when the order changes


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are remembered.

    max_bytes: of the pool of text states. ttl_seconds: how long a prompt nobody uses is kept; None
    for ever. warm_from: a pool saved with `limner cache warm`, taken up when the models are loaded.
    adaptive: whether the order of a prompt's segments follows the traffic. Off, the same request
    gives the same picture tomorrow; on, more is reused, and a result names the order it was drawn
    by. threshold: the share of positions reused under which another order is thought about.
    """

    max_bytes: int = 256 << 20
    ttl_seconds: float | None = None
    warm_from: Path | None = None
    adaptive: bool = False
    threshold: float = 0.6


class PromptMemory:
    """One engine's pool, its text encoder in front of it, and the layout in force."""

    def __init__(self, settings: PromptSettings) -> None:
        self.pool = PrefixPool(settings.max_bytes, ttl_seconds=settings.ttl_seconds)
        self.layout = Layout.default()
        self._settings = settings
        self._monitor = LayoutMonitor(
            SegmentOrder(self.layout.order, self.layout.version), threshold=settings.threshold
        )
        self._encoder: PrefixCachedTextEncoder | None = None
        self._lock = threading.Lock()

    def encoder(self, text_encoder: Any) -> PrefixCachedTextEncoder:
        """The text encoder behind the pool. Raises PoolFileRejected for a pool to start from."""
        with self._lock:
            if self._encoder is None or self._encoder.text_model is not text_encoder:
                encoder = PrefixCachedTextEncoder(text_encoder, self.pool)
                if self._settings.warm_from is not None:
                    load_pool(encoder, self._settings.warm_from)
                self._encoder = encoder
            return self._encoder

    def save(self, directory: Path) -> int:
        """Write what is held of the text encoder in use, so that another engine starts warm (see
        PromptSettings.warm_from); how many entries. Raises OSError.
        """
        with self._lock:
            return 0 if self._encoder is None else save_pool(self._encoder, directory)

    def drawn(
        self,
        plan: PromptPlan,
        positions: int,
        reused: int,
        tokenizer: Any,
        notes: Notes,
    ) -> None:
        """Take note of a prompt; where the traffic asks for it, change the order and warm it."""
        if not self._settings.adaptive or not plan.segments:
            return
        with self._lock:
            self._monitor.record(_use_of(plan, tokenizer), positions, reused)
            order = self._monitor.proposal()
            if order is None or self._encoder is None:
                return
            self._monitor.switch(order)
            self.layout = Layout(order=order.names, version=order.version)
            hottest = self._monitor.hottest(_WARMED)
            texts = [joined(use.words for use in prompt) for prompt in hottest]
            self._encoder.warm([padded(text, tokenizer).input_ids[0] for text in texts])
        notes.decided(
            f"layout {order.version}: recent prompts reuse more in the order "
            f"{', '.join(order.names)}; {len(hottest)} prompts warmed"
        )


def _use_of(plan: PromptPlan, tokenizer: Tokenizer) -> PromptUse:
    return tuple(
        SegmentUse(segment.attribute, segment.text, count_tokens(segment.text, tokenizer))
        for segment in plan.segments
    )
