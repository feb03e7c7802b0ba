"""The parts of a pipeline on disk, each loaded strictly by the class that its index names."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from models.errors import BundleCorrupt
from models.layouts import LAYOUTS, NAMES, PipelineLayout
from models.quiet import quiet_libraries

with quiet_libraries():
    import diffusers
    from diffusers import SchedulerMixin
    from transformers import CLIPTokenizer


class Scheduler(Protocol):
    """What a diffusers scheduler is to us: its configuration; the sampler uses the rest."""

    config: Any

    @classmethod
    def from_config(cls, config: Any) -> Any: ...


@contextmanager
def loading(path: Path, class_name: str) -> Iterator[None]:
    """Whatever goes wrong inside is a BundleCorrupt that names the path."""
    try:
        yield
    except (BundleCorrupt, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        # tokenizers raises Exception itself, and a strange config.json anything at all.
        reason = " ".join(str(error).split())[:300].removeprefix(f"{path}").lstrip(": ")
        raise BundleCorrupt(
            f"{path} cannot be loaded as {class_name}: {reason}; verify the bundle"
        ) from error


@dataclass(frozen=True)
class PipelineIndex:
    """What model_index.json says. classes: of each part; zeroes: as `PipelineLayout` has it."""

    layout: PipelineLayout
    classes: Mapping[str, str]
    zeroes: bool


def read_index(root: Path) -> PipelineIndex:
    """The index of a pipeline that is drawn with here. Raises BundleCorrupt."""
    file = root / "model_index.json"
    with loading(file, "a pipeline's index"):
        index = dict(json.loads(file.read_text(encoding="utf-8")))
        names = {
            part: value[1]
            for part, value in index.items()
            if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)
        }
    found = index.get("_class_name")
    layout = next((each for each in LAYOUTS if each.name == found), None)
    if layout is None:
        raise BundleCorrupt(f"{file}: the pipeline is {found}, expected {NAMES}")
    for part, classes in layout.parts.items():
        if names.get(part) not in classes:
            raise BundleCorrupt(
                f"{file}: {part} is {names.get(part)}, expected {' or '.join(classes)}"
            )
    zeroes = layout.zeroes and bool(index.get("force_zeros_for_empty_prompt", True))
    return PipelineIndex(layout, names, zeroes)


def load_part(directory: Path, model: Any, dtype: torch.dtype) -> Any:
    """One part, a model with its loading report checked: no key missing, left over or of another
    shape.
    """
    with loading(directory, model.__name__):
        if model is CLIPTokenizer:
            return model.from_pretrained(directory, local_files_only=True)
        loaded, report = model.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            low_cpu_mem_usage=True,
            output_loading_info=True,
            variant=_variant(directory),
            **{"torch_dtype" if issubclass(model, diffusers.ModelMixin) else "dtype": dtype},
        )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        found = sorted(map(str, report.get(problem, ())))
        if found:
            raise BundleCorrupt(
                f"{directory}: {len(found)} {problem.replace('_', ' ')}, the first {found[0]}; "
                "weights and config.json do not belong together"
            )
    return loaded


def _variant(directory: Path) -> str | None:
    """fp16 where the weights lie there in that variant only, as they are often published."""
    names = [file.name for file in directory.glob("*.safetensors")]
    return "fp16" if names and all(".fp16" in name for name in names) else None


def load_scheduler(root: Path, names: Mapping[str, str]) -> Scheduler:
    class_name = names.get("scheduler", "")
    found: Any = getattr(diffusers, class_name, None)
    if not _is_scheduler(found):
        raise BundleCorrupt(
            f"{root / 'model_index.json'}: {class_name!r} is no diffusers scheduler"
        )
    with loading(root / "scheduler", class_name):
        scheduler: Scheduler = found.from_pretrained(root / "scheduler", local_files_only=True)
    return scheduler


def _is_scheduler(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, SchedulerMixin)
