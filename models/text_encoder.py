"""A CLIP text encoder that remembers: whole prompts, and the beginnings that prompts share.

No prior prefix cache in a CLIP text encoder is known to us. It is exact because the attention is
causal: a beginning's states are the same whatever follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from cache import Lease, Namespace, PrefixPool, Scope, Tokens, digest
from models.errors import TokensRejected
from models.offload import resident
from models.prefix_states import PrefixStates, PromptStates
from models.shared_runs import shared_runs
from models.text_fingerprint import WeightsWatch
from models.text_forward import Computed, Output, compute_states

# A beginning shared by fewer positions than this is not worth a place in the pool.
LEAST_KEPT_POSITIONS: Final = 2
# What changes the states of the same weights.
_SETTINGS: Final = ("num_attention_heads", "hidden_act", "layer_norm_eps", "eos_token_id")
_LEGACY_END: Final = 2  # configurations of old have this end id, and pool at the highest id


@dataclass(frozen=True, eq=False)
class TextStates:
    """What a text encoder says of a batch of prompts.

    hidden: [batch, length, width]. pooled: [batch, width], or [batch, projection] from a model with
    a projection. Of the batch × length positions some were computed, the others reused; wholes:
    prompts of which nothing had to be computed.
    """

    hidden: Tensor
    pooled: Tensor
    positions_computed: int
    positions_reused: int
    wholes: int


@dataclass(eq=False)
class _Row:
    """One prompt on its way: what is known of it so far."""

    tokens: Tokens
    limit: int  # the end mark's position: it and what follows are always computed
    lease: Lease
    past: list[PrefixStates] = field(default_factory=list)
    ready: int = 0

    def take(self, states: PrefixStates, stop: int) -> None:
        """Continue with these states, up to a position."""
        self.past.append(states.part(0, stop - self.ready))
        self.ready = stop

    def joined(self) -> PrefixStates:
        if len(self.past) == 1:
            return self.past[0]
        return PrefixStates(
            torch.cat([part.keys for part in self.past], dim=2),
            torch.cat([part.values for part in self.past], dim=2),
            torch.cat([part.hidden for part in self.past]),
        )


class PrefixCachedTextEncoder:
    """transformers' CLIPTextModel or CLIPTextModelWithProjection behind a pool of prompts.

    Exact: equals the model's own forward (tests/models/test_text_encoder.py). Thread-safe, and
    several encoders may share a pool. Everything that changes states is in the keys: the weights'
    content, adapters and their scales, dtype, kind of device, the configuration's settings,
    clip-skip and the namespace; what changes on the model is noticed (see WeightsWatch for the one
    exception).
    """

    def __init__(
        self, text_model: nn.Module, pool: PrefixPool, *, namespace: Namespace = ()
    ) -> None:
        self.text_model = text_model
        self.pool = pool
        self.namespace = namespace
        self.outputs: set[Output] = set()  # those asked for or loaded so far
        self._watch = WeightsWatch(text_model)

    def encode(
        self,
        input_ids: Tensor,
        *,
        clip_skip: int = 0,
        final_norm: bool = True,
        namespace: Namespace | None = None,
    ) -> TextStates:
        """States of a batch of prompts, computing only what the pool does not hold. No gradients.

        input_ids: int64 [batch, length], as the bundle's tokenizer pads them. clip_skip: layers
        counted from the end, 0 for the last; final_norm: whether the last norm follows. SD uses the
        defaults (or a clip-skip), SDXL (1, False). Raises TokensRejected.
        """
        output = Output(clip_skip, final_norm)
        with torch.no_grad(), resident(self.text_model), ExitStack() as leases:
            self._check(input_ids, output)
            scope = self.scope_of(output, namespace)
            self.outputs.add(output)
            prompts = [tuple(row) for row in input_ids.tolist()]
            rows: dict[Tokens, _Row] = {}
            for tokens in prompts:
                if tokens not in rows:
                    limit = self._end(tokens)
                    lease = leases.enter_context(self.pool.lease(scope, tokens, limit))
                    rows[tokens] = _Row(tokens, limit, lease)
            done, computed = self._encode(rows, output)
        states = [done[tokens] for tokens in prompts]
        return TextStates(
            hidden=torch.stack([each.hidden for each in states]),
            pooled=torch.stack([each.pooled for each in states]),
            positions_computed=computed,
            positions_reused=input_ids.numel() - computed,
            wholes=sum(rows[tokens].lease.whole is not None for tokens in prompts),
        )

    def warm(self, prompts: Sequence[Tensor], **options: Any) -> None:
        """Encode prompts that are expected, each int64 [length], so that the pool holds them."""
        for prompt in prompts:
            self.encode(prompt[None], **options)

    def forget_weights(self) -> None:
        """Read the weights anew, after a change of a few values through `.data` (WeightsWatch)."""
        self._watch.forget()

    def scope_of(self, output: Output, namespace: Namespace | None = None) -> Scope:
        """Under what the pool keeps this model's prompts, as the model is now."""
        kind, config = self.device.type, self._text.config
        model = digest(
            {
                "weights": self._watch.digest(),
                "device": kind,
                "settings": {name: getattr(config, name) for name in _SETTINGS},
                "attention": str(config._attn_implementation),
                "autocast": str(torch.get_autocast_dtype(kind))
                if torch.is_autocast_enabled(kind)
                else None,
                "clip_skip": output.clip_skip,
                "final_norm": output.final_norm,
            }
        )
        return Scope(self.namespace if namespace is None else namespace, model)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return cast("torch.device", self._text.embeddings.token_embedding.weight.device)

    def _encode(
        self, rows: dict[Tokens, _Row], output: Output
    ) -> tuple[dict[Tokens, PromptStates], int]:
        """The states of different prompts, and how many positions were computed for them."""
        done: dict[Tokens, PromptStates] = {}
        missing: list[_Row] = []
        for tokens, row in rows.items():
            if row.lease.whole is not None:
                done[tokens] = cast("PromptStates", row.lease.whole)
                continue
            missing.append(row)
            for slab in row.lease.prefix:
                states = cast("PrefixStates", slab)
                row.take(states, min(row.ready + states.positions, row.lease.ready))
        computed = self._compute_shared(missing, output)
        by_start: dict[int, list[_Row]] = {}
        for row in missing:
            by_start.setdefault(row.ready, []).append(row)
        for start, group in by_start.items():
            computed += sum(len(row.tokens) - start for row in group)
            done |= self._compute_rest(group, start, output)
        return done, computed

    def _compute_shared(self, rows: list[_Row], output: Output) -> int:
        """What several rows begin with, once; the positions computed."""
        computed = 0
        runs = shared_runs(
            [row.tokens for row in rows], [row.ready for row in rows], [row.limit for row in rows]
        )
        for run in runs:
            members = [rows[index] for index in run.members]
            first, count = members[0], run.stop - run.start
            tokens = first.tokens[run.start : run.stop]
            states = self._compute([first], [tokens], count, output).prefix(0, count)
            first.lease.keep_prefix(states, run.start, run.stop)
            for member in members:
                member.take(states, run.stop)
            computed += count
        return computed

    def _compute_rest(
        self, rows: list[_Row], start: int, output: Output
    ) -> dict[Tokens, PromptStates]:
        """The rest of rows that are equally far; what proves worth it goes into the pool."""
        keep = [max(0, row.lease.shared - start) for row in rows]
        keep = [count if count >= LEAST_KEPT_POSITIONS else 0 for count in keep]
        suffixes = [row.tokens[start:] for row in rows]
        computed = self._compute(rows, suffixes, max(keep), output)
        done: dict[Tokens, PromptStates] = {}
        for index, row in enumerate(rows):
            hidden = computed.hidden[index]
            if row.past:
                hidden = torch.cat([*(part.hidden for part in row.past), hidden])
            end = computed.last[index, row.limit - start]
            done[row.tokens] = PromptStates(hidden.clone(), self._project(end).clone())
            if keep[index]:
                prefix = computed.prefix(index, keep[index])
                row.lease.keep_prefix(prefix, start, start + keep[index])
            row.lease.keep_whole(done[row.tokens])
        return done

    def _compute(
        self, rows: list[_Row], suffixes: Sequence[Tokens], capture: int, output: Output
    ) -> Computed:
        past = [row.joined() for row in rows] if rows[0].past else []
        input_ids = torch.tensor(suffixes, dtype=torch.int64, device=self.device)
        return compute_states(self._text, input_ids, past, capture, output)

    def _project(self, state: Tensor) -> Tensor:
        projection = getattr(self.text_model, "text_projection", None)
        return state if projection is None else cast("Tensor", projection(state[None])[0])

    def _end(self, tokens: Tokens) -> int:
        """The position whose state stands for the whole prompt: the first end mark."""
        end = self._text.config.eos_token_id
        if end == _LEGACY_END:
            return max(range(len(tokens)), key=lambda position: tokens[position])
        return tokens.index(end) if end in tokens else 0

    def _check(self, input_ids: Tensor, output: Output) -> None:
        config = self._text.config
        most = config.max_position_embeddings
        if input_ids.dim() != 2 or input_ids.dtype not in (torch.int64, torch.int32):
            raise TokensRejected(
                f"input_ids are {input_ids.dtype} {list(input_ids.shape)}: expected int64 "
                "[batch, length]"
            )
        if not 0 < input_ids.shape[1] <= most or not input_ids.shape[0]:
            raise TokensRejected(
                f"input_ids are {list(input_ids.shape)}: expected [batch, length] with 1 to {most} "
                "positions; shorten the prompt"
            )
        lowest, highest = int(input_ids.min()), int(input_ids.max())
        if lowest < 0 or highest >= config.vocab_size:
            raise TokensRejected(
                f"token {lowest if lowest < 0 else highest} is unknown: the model knows 0 to "
                f"{config.vocab_size - 1}; use the tokenizer that belongs to it"
            )
        layers = config.num_hidden_layers
        if not 0 <= output.clip_skip < layers:
            raise TokensRejected(f"clip_skip is {output.clip_skip}: expected 0 to {layers - 1}")

    @property
    def _text(self) -> Any:
        """The transformer itself, inside or outside of a model with a projection."""
        return getattr(self.text_model, "text_model", self.text_model)
