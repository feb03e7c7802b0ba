"""The denoiser: a UNet2DConditionModel that draws from words and from an identity, both trained at
once.

Text comes from the text tower, which learns along but is held to the embeddings that CLIP's vision
tower knows. The identity comes through FaceID's decoupled cross-attention (adapter.py), and always
from *another* picture of the same person: from the same one, glasses and smiles would leak through
the identity. v-prediction (Salimans & Ho 2022) on a cosine schedule, times logit-normal (Esser et
al. 2024).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .adapter import EMBEDDING_SCALE, WEIGHT_NAME, install, split
from .autoencoder import FACE_REACH, face_weights, inside_faces
from .clip import tokenize
from .data import Pictures
from .loop import Schedule
from .start import gentler, load_start

TRAIN_TIMESTEPS = 1000
TEXT_ENCODER = "text_encoder"


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes and odds. Attention starts at half the latent's resolution: at the full one it would
    double the cost.
    """

    channels: tuple[int, ...] = (64, 96, 128)
    heads: int = 4
    norm_groups: int = 16
    drop_text: float = 0.1
    drop_identity: float = 0.1
    drop_both: float = 0.05
    fragment: float = 0.04  # captions that are a few phrases only, as negative prompts are
    uniform_times: float = 0.4  # the share of times drawn evenly, so that both ends are seen
    embedding_noise: float = (
        0.01  # per number of the unit embedding: a detector's landmarks are never exact
    )
    face_weight: float = 2.0  # of the loss at eyes and mouth, over 1 elsewhere
    skin_weight: float = 4.0  # on the whole face: backgrounds are learned long before wrinkles
    text_hold: float = 1.0  # on how far the text tower strays from the embedding CLIP gave a text
    mean_logit: float = 0.3  # of the times: noise is strong where view, light and age are decided
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            learning_rate=1e-3,
            batch_size=32,
            warmup_steps=150,
            weight_decay=0.01,
            ema_decay=0.9985,
            betas=(0.9, 0.99),
            orthogonal=True,
        )
    )


@dataclass(frozen=True, eq=False)
class Conditions:
    """Cached inputs of a dataset's pictures, row by row as in Pictures.

    latents float16 [N, c, s, s], of unit spread; embeddings float16 [N, 512], unit vectors.
    """

    latents: NDArray[np.float16]
    embeddings: NDArray[np.float16]


def build_scheduler() -> DDIMScheduler:
    """The bundle's scheduler, and the noise levels of the training."""
    return DDIMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
        steps_offset=1,  # unused when trailing; StableDiffusionPipeline insists on it
    )


@cache
def noise_levels() -> Tensor:
    """The share of signal in the variance at each time, float32 [1000]."""
    levels: Tensor = build_scheduler().alphas_cumprod
    return levels


class Drawing(nn.Module):
    """What is trained together: the denoiser with FaceID in it, and the text tower."""

    def __init__(self, unet: UNet2DConditionModel, words: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.words = unet, words


def build_unet(
    config: DenoiserConfig, latent_channels: int, size: int, width: int, start: Path | None = None
) -> UNet2DConditionModel:
    """A denoiser with FaceID installed. size: of the latents; width: of the text states; start: a
    folder that `finish` wrote, whose weights it takes.
    """
    deeper = len(config.channels) - 1
    unet = UNet2DConditionModel(
        sample_size=size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=config.channels,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * deeper),
        up_block_types=(*["CrossAttnUpBlock2D"] * deeper, "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=config.heads,  # diffusers' name for the number of heads
        norm_num_groups=config.norm_groups,
        cross_attention_dim=width,
    )
    if start is None:
        _start_as_identity(unet)
        install(unet)
    else:
        load_start(unet, UNet2DConditionModel.from_pretrained(start / "unet").state_dict())
        install(unet, load_file(start / WEIGHT_NAME))
    return unet


@dataclass(frozen=True, eq=False)
class DenoiserRecipe:
    """Predict v of noised latents, given words and another picture's identity.

    text_encoder: CLIP's own, where the text tower begins and what it is held to. start: as for
    `build_unet`; None begins from nothing.
    """

    config: DenoiserConfig
    pictures: Pictures
    conditions: Conditions
    held_out: Pictures
    held_out_conditions: Conditions
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    start: Path | None = None
    name: str = "denoiser"

    @property
    def schedule(self) -> Schedule:
        schedule = self.config.schedule
        return schedule if self.start is None else gentler(schedule)

    def build(self) -> Drawing:
        _, channels, size, _ = self.conditions.latents.shape
        width = int(self.text_encoder.config.hidden_size)
        words = copy.deepcopy(self.text_encoder).requires_grad_(True)
        return Drawing(build_unet(self.config, channels, size, width, self.start), words)

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        count = self.schedule.batch_size
        chosen = self.pictures.sample(rng, count)
        fate = rng.random(count)
        config = self.config
        no_both = fate < config.drop_both
        no_text = no_both | (fate > 1 - config.drop_text)
        no_identity = no_both | (
            (fate >= config.drop_both) & (fate < config.drop_both + config.drop_identity)
        )
        captions = [
            "" if silent else self.pictures.describe(rng, int(i), fragment=config.fragment).text
            for i, silent in zip(chosen, no_text, strict=True)
        ]
        embeddings = self.conditions.embeddings[self.pictures.another(rng, chosen)].astype(
            np.float32
        )
        embeddings += config.embedding_noise * rng.standard_normal(embeddings.shape, np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        embeddings[no_identity] = 0.0
        latents = self.conditions.latents[chosen].astype(np.float32)
        scale = latents.shape[-1] / self.pictures.size
        weights = inside_faces(
            self.pictures.boxes[chosen] * scale, latents.shape[-1], config.skin_weight, FACE_REACH
        ) * face_weights(
            self.pictures.landmarks[chosen] * scale, latents.shape[-1], config.face_weight
        )
        return {
            "latents": torch.from_numpy(latents),
            "noise": torch.from_numpy(rng.standard_normal(latents.shape, np.float32)),
            "timesteps": torch.from_numpy(
                sample_timesteps(rng, count, config.uniform_times, config.mean_logit)
            ),
            "input_ids": tokenize(self.tokenizer, captions),
            "embeddings": torch.from_numpy(embeddings),
            "weights": torch.from_numpy(weights),
        }

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        error, strayed = self.error(model, batch)
        weights = batch["weights"]
        weighted = (weights * error).sum() / (weights.sum() * error.shape[1])
        return weighted + self.config.text_hold * strayed, {"strayed": float(strayed.detach())}

    def error(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Squared error of v [batch, c, s, s], and of the text's own embedding against CLIP's."""
        assert isinstance(model, Drawing)
        latents, noise, timesteps = batch["latents"], batch["noise"], batch["timesteps"]
        levels = noise_levels().to(latents.device)[timesteps][:, None, None, None]
        signal, spread = levels.sqrt(), (1 - levels).sqrt()
        with torch.no_grad():
            encoder = self.text_encoder.to(latents.device)
            known = encoder(input_ids=batch["input_ids"]).pooler_output
        text = model.words(input_ids=batch["input_ids"])
        predicted = model.unet(
            signal * latents + spread * noise,
            timesteps,
            encoder_hidden_states=text.last_hidden_state,
            added_cond_kwargs={"image_embeds": [EMBEDDING_SCALE * batch["embeddings"][:, None]]},
        ).sample
        target = signal * noise - spread * latents
        error = F.mse_loss(predicted.float(), target, reduction="none")
        return error, F.mse_loss(text.pooler_output.float(), known.float())

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Held-out error, and by how much it grows without the identity, with a stranger's, and
        without words.

        The same pictures, noise and times every time.
        """
        rng = np.random.default_rng(0)
        sums: dict[str, list[float]] = {}
        judged = DenoiserRecipe(
            self.config, self.held_out, self.held_out_conditions, self.held_out,
            self.held_out_conditions, self.tokenizer, self.text_encoder,
        )  # fmt: skip
        device = next(model.parameters()).device
        empty = tokenize(self.tokenizer, [""])
        for _ in range(max(1, 384 // self.schedule.batch_size)):
            batch = {name: value.to(device) for name, value in judged.batch(rng).items()}
            variants = {
                "error": batch,
                "without identity": {**batch, "embeddings": torch.zeros_like(batch["embeddings"])},
                "stranger": {**batch, "embeddings": batch["embeddings"].roll(1, 0)},
                "without words": {
                    **batch,
                    "input_ids": empty.expand_as(batch["input_ids"]).to(device),
                },
            }
            for name, variant in variants.items():
                sums.setdefault(name, []).append(float(self.error(model, variant)[0].mean()))
        return {name: float(np.mean(values)) for name, values in sums.items()}


def sample_timesteps(
    rng: np.random.Generator, count: int, uniform: float, mean_logit: float = 0.0
) -> NDArray[np.int64]:
    """Times 0 … 999: logit-normal, a share of them uniform, int64 [count]."""
    times = 1 / (1 + np.exp(-rng.normal(mean_logit, 1.0, count)))
    even = rng.random(count)
    times = np.where(rng.random(count) < uniform, even, times)
    return np.minimum((times * TRAIN_TIMESTEPS).astype(np.int64), TRAIN_TIMESTEPS - 1)


def recipe_from_cache(
    config: DenoiserConfig,
    pictures: Pictures,
    held_out: Pictures,
    tokenizer: CLIPTokenizer,
    *,
    text_encoder: Path,
    latents: Path,
    embeddings: Path,
    start: Path | None = None,
) -> DenoiserRecipe:
    """The recipe from what earlier stages left: a text encoder's directory, and train.npy and
    held-out.npy of both; and the folder of weights to start from.
    """
    encoder = CLIPTextModel.from_pretrained(text_encoder)
    encoder.requires_grad_(False).eval()

    def conditions(name: str) -> Conditions:
        return Conditions(np.load(latents / f"{name}.npy"), np.load(embeddings / f"{name}.npy"))

    return DenoiserRecipe(
        config, pictures, conditions("train"), held_out, conditions("held-out"), tokenizer, encoder,
        start,
    )  # fmt: skip


def finish(model: nn.Module, directory: Path) -> None:
    """Write unet/ and text_encoder/ in their libraries' layouts, the FaceID weights beside them."""
    assert isinstance(model, Drawing)
    model.words.save_pretrained(directory / TEXT_ENCODER)
    base, weights = split(model.unet)
    base.save_pretrained(directory / "unet")
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, directory / WEIGHT_NAME
    )


def _start_as_identity(unet: UNet2DConditionModel) -> None:
    """Zero what ends each residual branch and the whole: the first steps then learn and do not
    repair.
    """
    for name, module in unet.named_modules():
        if name.endswith(("conv2", "proj_out", "conv_out")):
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
