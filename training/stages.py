"""The stages of a bundle's training, in order, and what each leaves on disk for the next.

A stage reads and writes files of the training cache only, so stages can run in separate processes,
be killed, and go on. A stage whose result lies there already is finished.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from .config import TrainingConfig
from .data import Pictures, dataset, held_out
from .loop import Recipe, Trained, train, write_atomically
from .start import start_of

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


class StageMissing(ValueError):
    """A stage needs the result of another that has not run."""


@dataclass(frozen=True)
class Workshop:
    """Where and how stages run. cache: the training cache; minutes: this stage's own budget, None
    for its share.
    """

    config: TrainingConfig
    cache: Path
    device: str = "cpu"
    threads: int | None = None
    minutes: float | None = None
    output: Path | None = None

    def pictures(self) -> Pictures:
        config = self.config
        return dataset(self.cache, config.size, config.people, config.pictures, self._workers)

    def held_out(self) -> Pictures:
        config = self.config
        return held_out(
            self.cache, config.size, config.held_out_people, config.held_out_pictures, self._workers
        )

    @property
    def _workers(self) -> int:
        return self.threads or torch.get_num_threads()

    def result(self, stage: str) -> Path:
        """The file whose presence says that the stage is finished. Relative to the cache."""
        return self.cache / RESULTS[stage]

    def need(self, stage: str) -> Path:
        """A finished stage's result. Raises StageMissing."""
        path = self.result(stage)
        if not path.exists():
            raise StageMissing(f"the stage '{stage}' has not run: {path} is missing")
        return path

    def tokenizer(self) -> CLIPTokenizer:
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(self.need("tokenizer").parent)
        assert isinstance(tokenizer, CLIPTokenizer)
        return tokenizer

    def train(self, recipe: Recipe) -> Trained:
        """Run a recipe over its share of the budget, and note what it reached."""
        trained = train(
            recipe,
            self.cache / "runs" / recipe.name,
            minutes=self.minutes or self.config.stage_minutes(recipe.name),
            device=self.device,
            threads=self.threads,
        )
        figures = json.dumps(trained.figures, indent=2) + "\n"
        path = self.cache / "runs" / recipe.name / "held-out.json"
        write_atomically(path, lambda temporary: _write(temporary, figures))
        return trained


def _dataset(workshop: Workshop) -> None:
    workshop.held_out()
    workshop.pictures()
    workshop.result("dataset").write_text("", encoding="utf-8")


def _tokenizer(workshop: Workshop) -> None:
    from .tokenizer import train_tokenizer

    directory = workshop.result("tokenizer").parent
    train_tokenizer(workshop.config.tokenizer, workshop.pictures(), directory)


def _clip(workshop: Workshop) -> None:
    from . import clip

    config = workshop.config.clip
    recipe = clip.ClipRecipe(config, workshop.pictures(), workshop.held_out(), workshop.tokenizer())
    trained = workshop.train(recipe)
    clip.finish(trained.model, config.image_size, workshop.result("clip").parent)


def _recogniser(workshop: Workshop) -> None:
    from . import recogniser

    recipe = recogniser.RecogniserRecipe(workshop.pictures(), workshop.held_out())
    trained = workshop.train(recipe)
    recogniser.finish(trained.model, _made(workshop.result("recogniser")))


def _embeddings(workshop: Workshop) -> None:
    from .conditions import cache_embeddings

    for name, pictures in (("held-out", workshop.held_out()), ("train", workshop.pictures())):
        target = _made(workshop.cache / "embeddings" / f"{name}.npy")
        cache_embeddings(workshop.need("recogniser"), pictures, target, workshop.threads)


def _autoencoder(workshop: Workshop) -> None:
    from . import autoencoder

    pictures = workshop.pictures()
    recipe = autoencoder.AutoencoderRecipe(
        workshop.config.autoencoder,
        pictures,
        workshop.held_out(),
        start=start_of(workshop.cache, "autoencoder"),
    )
    trained = workshop.train(recipe)
    autoencoder.finish(trained.model, pictures, workshop.result("autoencoder").parent)


def _latents(workshop: Workshop) -> None:
    from .conditions import cache_latents

    directory = workshop.need("autoencoder").parent
    for name, pictures in (("held-out", workshop.held_out()), ("train", workshop.pictures())):
        target = _made(workshop.cache / "latents" / f"{name}.npy")
        cache_latents(directory, pictures, target, workshop.device, workshop.threads)


def _denoiser(workshop: Workshop) -> None:
    from . import denoiser

    recipe = denoiser.recipe_from_cache(
        workshop.config.denoiser,
        workshop.pictures(),
        workshop.held_out(),
        workshop.tokenizer(),
        text_encoder=workshop.need("clip").parent / "text_encoder",
        latents=workshop.need("latents").parent,
        embeddings=workshop.need("embeddings").parent,
        start=start_of(workshop.cache, "denoiser"),
    )
    trained = workshop.train(recipe)
    denoiser.finish(trained.model, workshop.result("denoiser").parent)


def _judge_recogniser(workshop: Workshop) -> None:
    from . import judge_recogniser, recogniser

    recipe = judge_recogniser.JudgeRecogniserRecipe(workshop.pictures(), workshop.held_out())
    trained = workshop.train(recipe)
    recogniser.finish(trained.model, _made(workshop.result("judge-recogniser")))


def _judge_attributes(workshop: Workshop) -> None:
    from . import attribute_judge

    recipe = attribute_judge.AttributeJudgeRecipe(workshop.pictures(), workshop.held_out())
    trained = workshop.train(recipe)
    target = _made(workshop.result("judge-attributes"))
    attribute_judge.finish(trained.model, target)
    attribute_judge.write_judges_manifest(target.parent)


def _detector(workshop: Workshop) -> None:
    from . import detector

    trained = workshop.train(detector.DetectorRecipe(workshop.pictures(), workshop.held_out()))
    detector.finish(trained.model, _made(workshop.result("detector")))


def _export(workshop: Workshop) -> None:
    from .export import export_bundle

    export_bundle(workshop.config, workshop.cache, workshop.output or workshop.cache / "bundle")
    workshop.result("export").write_text("", encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


STAGES: Mapping[str, Callable[[Workshop], None]] = MappingProxyType(
    {
        "dataset": _dataset,
        "tokenizer": _tokenizer,
        "clip": _clip,
        "recogniser": _recogniser,
        "embeddings": _embeddings,
        "autoencoder": _autoencoder,
        "latents": _latents,
        "denoiser": _denoiser,
        "judge-recogniser": _judge_recogniser,
        "judge-attributes": _judge_attributes,
        "detector": _detector,
        "export": _export,
    }
)

# The last thing each stage writes.
RESULTS: Mapping[str, str] = MappingProxyType(
    {
        "dataset": "dataset.done",
        "tokenizer": "tokenizer/tokenizer.json",
        "clip": "clip/text_projection.safetensors",
        "recogniser": "faces/rec.onnx",
        "embeddings": "embeddings/train.npy",
        "autoencoder": "autoencoder/diffusion_pytorch_model.safetensors",
        "latents": "latents/train.npy",
        "denoiser": "denoiser/ip-adapter-faceid.safetensors",
        "judge-recogniser": "judges/recogniser.onnx",
        "judge-attributes": "judges/attributes.onnx",
        "detector": "faces/det.onnx",
        "export": "export.done",
    }
)
