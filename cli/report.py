"""What a fusion reached and cost, in words and as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.books import account_as_json, account_line
from cli.console import remark, say, table

if TYPE_CHECKING:
    from fusion import FusionResult

_MIB = 2**20


def tell_fusion(result: "FusionResult", paths: Sequence[Path]) -> None:
    """Pictures and likeness, words, cost by stage; warnings and downgrades on stderr."""
    for path, picture in zip(paths, result.pictures, strict=True):
        again = f", drawn {picture.attempts} times" if picture.attempts > 1 else ""
        alike = ", ".join(f"{one.name} {one.cosine:.2f}" for one in picture.similarity)
        said = ""
        if picture.verified and not picture.face_found:
            said = "  no face was found in it"
        elif alike:
            said = f"  similarity to {alike}"
        say(f"  seed {picture.seed}{again}{said}", first=str(path))
    usage = result.usage
    say(f'"{result.plan.prompt}"')
    if result.plan.negative_prompt:
        say(f'not: "{result.plan.negative_prompt}"')
    say(
        f"{usage.tokens} tokens ({usage.baseline_tokens} in ordinary words), "
        f"{usage.positions_computed} text positions computed and {usage.positions_reused} reused, "
        f"{usage.steps} steps{_approximated(usage.shallow_evaluations)}, "
        f"{usage.seconds:.1f} s, {usage.peak_memory_bytes / _MIB:.0f} MiB at most"
    )
    if result.account is not None:
        say(account_line(result.account))
    table(["stage", "seconds", "share", "memory it added"], stage_rows([result]))
    for text in (*result.warnings, *result.trace.downgrades, *_unsaid(result)):
        remark(f"note: {text}")


def _unsaid(result: "FusionResult") -> list[str]:
    """What people take for granted of a photo, and no identity embedding holds."""
    if not result.request.identities or result.request.words.given:
        return []
    said = {decision.attribute for decision in result.plan.decisions}
    left = [name for name in ("age", "hair") if name not in said]
    if not left:
        return []
    return [f"{' and '.join(left)} not said, so the model chose: a face alone does not tell them"]


def _approximated(shallow: int) -> str:
    return f" (fast: {shallow} evaluations approximated)" if shallow else ""


def stage_rows(results: "Sequence[FusionResult]") -> list[list[object]]:
    """A row for each stage: seconds a result, share of the whole, MiB added by all visits."""
    seconds: dict[str, float] = {}
    added: dict[str, int] = {}
    for result in results:
        for record in result.trace.records:
            name = str(record.stage)
            seconds[name] = seconds.get(name, 0.0) + record.seconds
            added[name] = added.get(name, 0) + record.memory_delta_bytes
    whole = sum(seconds.values()) or 1.0
    return [
        [
            name,
            seconds[name] / len(results),
            f"{100 * seconds[name] / whole:.0f} %",
            f"{added[name] / _MIB:+.0f} MiB",
        ]
        for name in seconds
    ]


def fusion_as_json(result: "FusionResult", paths: Sequence[Path]) -> dict[str, object]:
    """Everything a program may want to know of a result, as plain values."""
    usage = result.usage
    return {
        "images": [
            {
                "path": str(path),
                "seed": picture.seed,
                "identity_scale": picture.identity_scale,
                "attempts": picture.attempts,
                "face_found": picture.face_found if picture.verified else None,
                "similarity": [
                    {"name": one.name, "weight": one.weight, "cosine": one.cosine}
                    for one in picture.similarity
                ],
            }
            for path, picture in zip(paths, result.pictures, strict=True)
        ],
        "prompt": result.plan.prompt,
        "negative_prompt": result.plan.negative_prompt,
        "layout_version": result.plan.layout_version,
        "dropped": list(result.plan.dropped),
        "model": result.model,
        "model_digest": result.model_digest,
        "usage": {
            "images": usage.images,
            "attempts": usage.attempts,
            "steps": usage.steps,
            "tokens": usage.tokens,
            "baseline_tokens": usage.baseline_tokens,
            "positions_computed": usage.positions_computed,
            "positions_reused": usage.positions_reused,
            "projections_computed": usage.projections_computed,
            "projections_reused": usage.projections_reused,
            "denoiser_evaluations": usage.denoiser_evaluations,
            "shallow_evaluations": usage.shallow_evaluations,
            "denoiser_seconds": usage.denoiser_seconds,
            "faces_analysed": usage.faces_analysed,
            "faces_reused": usage.faces_reused,
            "seconds": usage.seconds,
            "seconds_by_stage": {str(k): v for k, v in usage.seconds_by_stage.items()},
            "peak_memory_bytes": usage.peak_memory_bytes,
            "peak_device_bytes": usage.peak_device_bytes,
        },
        "account": None if result.account is None else account_as_json(result.account),
        "trace": [
            {
                "stage": str(record.stage),
                "seconds": record.seconds,
                "memory_delta_bytes": record.memory_delta_bytes,
                "decisions": list(record.decisions),
                "downgrades": list(record.downgrades),
            }
            for record in result.trace.records
        ],
        "warnings": list(result.warnings),
    }
