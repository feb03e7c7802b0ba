"""The claims of the prefix pool: exact, few positions computed, ahead of a whole-prompt LRU.

One run prints no cache, a whole-prompt LRU and the pool side by side: positions computed over a
trace of requests at several budgets, and seconds on one core at the shape of CLIP-L.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from _clip import clip_tokenizer
from _record import record
from _traffic import requests, templates, zipf_trace
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from cache import (
    ByteLRU,
    LayoutMonitor,
    PrefixPool,
    Scope,
    SegmentOrder,
    SegmentUse,
    digest,
    entropy_order,
)
from models import PrefixCachedTextEncoder
from models.prefix_states import PrefixStates
from models.text_forward import Output, compute_states
from prompting import Layout, count_tokens, optimize

POSITIONS, END = 77, 49407
LAYERS, WIDTH = 12, 768  # CLIP-L, the text encoder of Stable Diffusion 1.5
WHOLE_BYTES = (POSITIONS + 1) * WIDTH * 4
SLAB_BYTES = (2 * LAYERS + 1) * WIDTH * 4  # a position's K/V of all layers, and its result
TEMPLATES, DISTINCT, LENGTH, EXPONENT = 60, 5_000, 10_000, 1.0
LOOKED_BACK = 2_000  # requests that the learned layout is learned from
SUBJECT_FIRST = ("subject", "age", "expression", "glasses", "beard", "hair")

Figures = dict[str, float | int | str]
Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Sized:
    """What the pool sees of states: their size."""

    positions: int
    position_bytes: int

    @property
    def size_bytes(self) -> int:
        return self.positions * self.position_bytes

    def split(self, at: int) -> tuple[Sized, Sized]:
        return Sized(at, self.position_bytes), Sized(self.positions - at, self.position_bytes)


def main() -> None:
    torch.set_num_threads(1)
    figures: Figures = {}
    figures |= trace_figures()
    figures |= exactness()
    figures |= seconds()
    record("prefix", figures)


def trace_figures() -> Figures:
    """Positions computed over the trace, as shares of all positions asked for."""
    tokenizer = clip_tokenizer()
    dicts = requests(templates(TEMPLATES), DISTINCT)
    trace = zipf_trace(DISTINCT, LENGTH, EXPONENT)
    asked = sorted(set(trace.tolist()))
    figures: Figures = {
        "templates": TEMPLATES, "distinct dicts": DISTINCT, "requests": LENGTH,
        "dicts asked for": len(asked),
    }  # fmt: skip
    prompts, uses = _prompts(dicts, asked, tokenizer, Layout.default())
    figures["mean tokens of a prompt"] = statistics.mean(
        prompts[index].index(END) - 1 for index in trace.tolist()
    )
    sequence = [prompts[index] for index in trace.tolist()]
    unbounded = pool_run(sequence, 1 << 50)
    budget = unbounded.statistics().size_bytes
    figures["pool unbounded: positions computed"] = 1 - unbounded.statistics().reuse
    figures["pool unbounded: MiB"] = budget / 2**20
    print(
        f"\n{'budget':>10}{'MiB':>8}{'no cache':>10}{'LRU':>8}{'pool':>8}{'of unbounded reuse':>20}"
    )
    for parts in (1, 2, 4, 8, 16, 32, 64):
        pool = pool_run(sequence, budget // parts).statistics()
        lru = lru_run(sequence, budget // parts)
        of_unbounded = pool.reuse / unbounded.statistics().reuse
        figures[f"pool at 1/{parts}: positions computed"] = 1 - pool.reuse
        figures[f"LRU at 1/{parts}: positions computed"] = 1 - lru
        figures[f"pool at 1/{parts}: of the unbounded pool's reuse"] = of_unbounded
        print(
            f"{f'1/{parts}':>10}{budget / parts / 2**20:>8.0f}{1.0:>10.3f}{1 - lru:>8.3f}"
            f"{1 - pool.reuse:>8.3f}{of_unbounded:>20.3f}"
        )
    return figures | _layouts(dicts, asked, trace.tolist(), uses, tokenizer)


def _layouts(
    dicts: Sequence[dict[str, object]],
    asked: Sequence[int],
    trace: Sequence[int],
    uses: dict[int, tuple[SegmentUse, ...]],
    tokenizer: CLIPTokenizer,
) -> Figures:
    """The same trace under the order people write in, the default one, and one learned from it."""
    default = Layout.default()
    rest = [name for name in default.order if name not in SUBJECT_FIRST]
    as_written = Layout((*SUBJECT_FIRST, *rest), version=default.version + 1)
    past = [uses[index] for index in trace[:LOOKED_BACK]]
    learned = Layout(entropy_order(past, as_written.order), default.version + 2)
    monitor = LayoutMonitor(
        SegmentOrder(as_written.order, as_written.version), threshold=1.0, window=LOOKED_BACK
    )
    for use in past:
        monitor.record(use, POSITIONS, 0)
    layouts = {"subject first": as_written, "default": default, "learned": learned}
    figures: Figures = {}
    for name, layout in layouts.items():
        prompts, _ = _prompts(dicts, asked, tokenizer, layout)
        pool = pool_run([prompts[index] for index in trace], 1 << 50).statistics()
        figures[f"layout {name}: positions computed"] = 1 - pool.reuse
    figures["layout learned: order"] = " ".join(learned.order)
    figures["layout learned: a monitor would switch"] = str(monitor.proposal() is not None)
    return figures


def _prompts(
    dicts: Sequence[dict[str, object]],
    asked: Sequence[int],
    tokenizer: CLIPTokenizer,
    layout: Layout,
) -> tuple[dict[int, Prompt], dict[int, tuple[SegmentUse, ...]]]:
    prompts: dict[int, Prompt] = {}
    uses: dict[int, tuple[SegmentUse, ...]] = {}
    for index in asked:
        plan = optimize(dicts[index], tokenizer=tokenizer, layout=layout)
        ids = tokenizer(plan.prompt, padding="max_length", max_length=POSITIONS)["input_ids"]
        prompts[index] = tuple(ids)
        uses[index] = tuple(
            SegmentUse(s.attribute, s.text, count_tokens(s.text, tokenizer)) for s in plan.segments
        )
    return prompts, uses


def pool_run(sequence: Sequence[Prompt], max_bytes: int) -> PrefixPool:
    """The pool after a trace, kept as PrefixCachedTextEncoder keeps it (checked in `exactness`)."""
    pool, scope = PrefixPool(max_bytes), Scope((), digest("CLIP-L"))
    for tokens in sequence:
        with pool.lease(scope, tokens, tokens.index(END)) as lease:
            if lease.whole is None:
                if lease.shared - lease.ready >= 2:
                    slab = Sized(lease.shared - lease.ready, SLAB_BYTES)
                    lease.keep_prefix(slab, lease.ready, lease.shared)
                lease.keep_whole(Sized(1, WHOLE_BYTES))
    return pool


def lru_run(sequence: Sequence[Prompt], max_bytes: int) -> float:
    """The share of positions that a whole-prompt LRU reuses, its bookkeeping for nothing."""
    lru: ByteLRU[Prompt, bool] = ByteLRU(max_bytes)
    for tokens in sequence:
        if lru.get(tokens) is None:
            lru.put(tokens, True, WHOLE_BYTES)
    return lru.statistics().hit_rate


def exactness() -> Figures:
    """The greatest difference from transformers' own forward, over traffic with eviction."""
    figures: Figures = {}
    shapes = {"tiny": (64, 3, 4, 400, 600_000), "CLIP-L": (WIDTH, LAYERS, 12, 12, 8_000_000)}
    for name, (width, layers, heads, rounds, budget) in shapes.items():
        model = _model(width, layers, heads)
        pool = PrefixPool(budget)
        encoder = PrefixCachedTextEncoder(model, pool)
        rng = random.Random(1)
        beginnings = [[rng.randrange(1000) for _ in range(30)] for _ in range(4)]
        worst, equal, count = 0.0, 0, 0
        for _ in range(rounds):
            rows = [_ids(rng.choice(beginnings)[: rng.choice((8, 16, 30))], rng) for _ in range(2)]
            input_ids = torch.tensor(rows)
            got = encoder.encode(input_ids)
            with torch.no_grad():
                want = model(input_ids=input_ids)
            error = float((got.hidden - want.last_hidden_state).abs().max())
            worst = max(worst, error, float((got.pooled - want.pooler_output).abs().max()))
            equal += error == 0
            count += 1
        held = pool.statistics()
        figures[f"{name}: greatest difference"] = worst
        figures[f"{name}: batches bit-equal"] = f"{equal} of {count}"
        figures[f"{name}: positions reused / evictions"] = (
            f"{held.positions_reused} of {held.positions_asked} / {held.evictions}"
        )
    return figures


def seconds() -> Figures:
    """One core, CLIP-L's shape, medians of interleaved runs."""
    model = _model(WIDTH, LAYERS, 12)
    encoder = PrefixCachedTextEncoder(model, PrefixPool(1 << 30))
    rng = random.Random(2)

    def own(rows: list[list[int]]) -> None:
        with torch.no_grad():
            model(input_ids=torch.tensor(rows))

    figures: Figures = {}
    fresh = [[_ids([], rng, tail=35)] for _ in range(64)]
    encoder.encode(torch.tensor(fresh.pop()))
    ours, theirs = _race(
        lambda: encoder.encode(torch.tensor(fresh.pop())), lambda: own(fresh.pop()), rounds=15
    )
    figures["transformers' forward: ms"] = theirs * 1e3
    figures["no hit: ms"] = ours * 1e3
    figures["no hit: of transformers' forward"] = ours / theirs
    hit = torch.tensor([_ids([], rng, tail=35)])
    encoder.encode(hit)
    whole, forward = _race(lambda: encoder.encode(hit), lambda: own(hit.tolist()), rounds=7)
    figures["whole-prompt hit: ms"] = whole * 1e3
    figures["whole-prompt hit: of a forward"] = whole / forward
    for shared in (15, 30, 50):
        beginning = [rng.randrange(1000) for _ in range(shared - 1)]
        for _ in range(2):  # the second time it is known to be shared
            encoder.encode(torch.tensor([_ids(beginning, rng, tail=3)]))
        with encoder.pool.lease(encoder.scope_of(Output()), _ids(beginning, rng, tail=3)) as lease:
            past = [_joined([slab for slab in lease.prefix if isinstance(slab, PrefixStates)])]
            assert lease.ready == shared == past[0].positions

            def suffix(past: list[PrefixStates] = past, begins: list[int] = beginning) -> None:
                rest = torch.tensor([_ids(begins, rng, tail=3)[past[0].positions :]])
                with torch.no_grad():
                    compute_states(model, rest, past, 0, Output())

            def warm(begins: list[int] = beginning, shared: int = shared) -> None:
                states = encoder.encode(torch.tensor([_ids(begins, rng, tail=3)]))
                assert states.positions_computed == POSITIONS - shared

            through, alone = _race(warm, suffix, rounds=11)
        figures[f"prefix of {shared}: ms"] = through * 1e3
        figures[f"prefix of {shared}: of the suffix forward alone"] = through / alone
        figures[f"prefix of {shared}: of transformers' forward"] = through / theirs
    return figures


def _race(
    one: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of both, run in turn so that whatever else the machine does hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, kept in zip((one, other), times, strict=True):
            started = time.perf_counter()
            run()
            kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def _joined(slabs: Sequence[PrefixStates]) -> PrefixStates:
    return PrefixStates(
        torch.cat([slab.keys for slab in slabs], dim=2),
        torch.cat([slab.values for slab in slabs], dim=2),
        torch.cat([slab.hidden for slab in slabs]),
    )


def _ids(beginning: Sequence[int], rng: random.Random, tail: int = 4) -> list[int]:
    """A prompt of random tokens after a beginning, padded with the end mark."""
    said = [49406, *beginning, *(rng.randrange(2000, 49000) for _ in range(tail))]
    return said + [END] * (POSITIONS - len(said))


def _model(width: int, layers: int, heads: int) -> CLIPTextModel:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        eos_token_id=END,
    )
    return CLIPTextModel(config).eval()


if __name__ == "__main__":
    main()
