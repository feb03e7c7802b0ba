"""What is built into engines: graphs of flat tensors, rows first, and torch's export of them.

All faces, prompts, scales and steps are inputs, so one graph per latent size serves every request.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from models.denoiser_module import DenoiserModule
from models.denoiser_view import Given
from models.key_values import KeyValues, RowConditions

FEWEST_ROWS: Final = 2  # torch.export makes a graph of one row a graph for one row only
MOST_ROWS: Final = 32  # sixteen pictures with guidance
_EXAMPLE_ROWS: Final = 2


class GraphKind(StrEnum):
    """Which of a bundle's graphs."""

    DENOISER = "denoiser"  # a whole step: the noise, and the deep features
    SHALLOW = "denoiser-shallow"  # a step of the fast mode, from deep features
    DECODER = "decoder"  # latents of one picture to its pixels


@dataclass(frozen=True)
class Input:
    """One input: its name, its shape without the rows, its dtype, how large its numbers are."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    deviation: float = 1.0

    def example(self, rows: int, device: torch.device, generator: torch.Generator) -> Tensor:
        """Numbers of the size this input has: normal ones, times between 0 and 1000."""
        if self.name == "timesteps":
            values = torch.rand(rows, generator=generator) * 999
        elif self.name == "identity_scales":
            values = torch.rand(rows, generator=generator) * 1.5
        elif self.name == "time_ids":
            values = torch.full((rows, *self.shape), 512.0)
        else:
            values = torch.randn(rows, *self.shape, generator=generator) * self.deviation
        return values.to(device, self.dtype)


@dataclass(frozen=True, eq=False)
class Graph:
    """A module called with its inputs in order, and what they look like.

    module: takes the tensors of `inputs`, gives a tuple of those of `outputs`. rows: least and most
    of a batch; equal where the graph takes no other number. height, width: of the latents.
    """

    kind: GraphKind
    module: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    height: int
    width: int
    rows: tuple[int, int]
    device: torch.device
    dtype: torch.dtype

    def examples(self, rows: int | None = None, seed: int = 0) -> tuple[Tensor, ...]:
        """Inputs of so many rows; without: of the graph's example."""
        count = rows or max(self.rows[0], min(_EXAMPLE_ROWS, self.rows[1]))
        generator = torch.Generator().manual_seed(seed)
        return tuple(each.example(count, self.device, generator) for each in self.inputs)

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What eager gives."""
        with torch.no_grad():
            return cast("tuple[Tensor, ...]", self.module(*tensors))

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these inputs are of this graph, apart from their rows."""
        return len(tensors) == len(self.inputs) and all(
            tuple(tensor.shape[1:]) == each.shape
            for tensor, each in zip(tensors, self.inputs, strict=True)
        )

    def exported(self) -> torch.export.ExportedProgram:
        """The graph by torch.export, with as many rows as it may have."""
        least, most = self.rows
        dynamic: Any = None
        if least < most:
            batch = torch.export.Dim("batch", min=least, max=most)
            dynamic = (tuple({0: batch} for _ in self.inputs),)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, about its own names
            return torch.export.export(self.module, self.examples(), dynamic_shapes=dynamic)


class _Whole(nn.Module):
    def __init__(self, module: DenoiserModule, names: tuple[str, ...]) -> None:
        super().__init__()
        self.denoiser, self.names = module, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        by_name = dict(zip(self.names, tensors, strict=True))
        latents, timesteps = by_name.pop("latents"), by_name.pop("timesteps")
        given = _given(by_name)
        drawn = self.denoiser.whole(latents, timesteps, given, **by_name)
        return drawn.noise, drawn.deep


class _Shallow(nn.Module):
    def __init__(self, module: DenoiserModule, names: tuple[str, ...]) -> None:
        super().__init__()
        self.denoiser, self.names = module, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor]:
        by_name = dict(zip(self.names, tensors, strict=True))
        latents, timesteps = by_name.pop("latents"), by_name.pop("timesteps")
        given, deep = _given(by_name), by_name.pop("deep")
        return (self.denoiser.shallow(latents, timesteps, given, deep, **by_name),)


class _Decoder(nn.Module):
    def __init__(self, autoencoder: Any) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, *tensors: Tensor) -> tuple[Tensor]:
        return (self.autoencoder.decode(tensors[0], return_dict=False)[0],)


def _given(by_name: dict[str, Tensor]) -> Given:
    scales = by_name.pop("identity_scales", None)
    return Given(by_name.pop("text"), by_name.pop("identity", None), scales)


def denoiser_tensors(
    latents: Tensor, timesteps: Tensor, conditions: RowConditions, deep: Tensor | None = None
) -> tuple[Tensor, ...]:
    """A call's tensors, in the order of a denoiser's graph."""
    dtype = latents.dtype
    given = [
        latents,
        timesteps.to(torch.float32),  # as the UNet takes them, whatever a scheduler counts in
        conditions.text.packed,
        None if conditions.identity is None else conditions.identity.packed,
        conditions.identity_scales,
        None if conditions.text_embeds is None else conditions.text_embeds.to(dtype),
        None if conditions.time_ids is None else conditions.time_ids.to(dtype),
        deep,
    ]
    return tuple(tensor for tensor in given if tensor is not None)


_NAMES: Final = (
    "latents",
    "timesteps",
    "text",
    "identity",
    "identity_scales",
    "text_embeds",
    "time_ids",
    "deep",
)


def denoiser_graphs(
    module: DenoiserModule, latents: Tensor, conditions: RowConditions
) -> tuple[Graph, Graph]:
    """A whole step's graph and a shallow step's, for rows of this size and these conditions.

    latents, conditions: of two rows at least, on the module's device and of its dtype.
    """
    rows = latents.shape[0]
    times = torch.zeros(rows, device=latents.device)
    with torch.no_grad():
        deep = module.whole(
            latents, times, _packed(conditions), conditions.text_embeds, conditions.time_ids
        ).deep
    height, width = latents.shape[2:]
    graphs = []
    for kind, given in ((GraphKind.DENOISER, None), (GraphKind.SHALLOW, deep)):
        tensors = denoiser_tensors(latents, times, conditions, given)
        names = tuple(_names(conditions, given is not None))
        wrapped = _Whole(module, names) if given is None else _Shallow(module, names)
        graphs.append(
            Graph(
                kind=kind,
                module=wrapped.eval(),
                inputs=tuple(
                    Input(name, tuple(tensor.shape[1:]), tensor.dtype)
                    for name, tensor in zip(names, tensors, strict=True)
                ),
                outputs=("noise", "deep_features") if given is None else ("noise",),
                height=int(height),
                width=int(width),
                rows=(FEWEST_ROWS, MOST_ROWS),
                device=latents.device,
                dtype=latents.dtype,
            )
        )
    return graphs[0], graphs[1]


def decoder_graph(autoencoder: Any, height: int, width: int) -> Graph:
    """The graph that decodes one picture of latents [1, channels, height, width], unscaled."""
    channels = int(autoencoder.config.latent_channels)
    return Graph(
        kind=GraphKind.DECODER,
        module=_Decoder(autoencoder).eval(),
        inputs=(
            Input(
                "latents",
                (channels, height, width),
                autoencoder.dtype,
                1 / float(autoencoder.config.scaling_factor),
            ),
        ),
        outputs=("image",),
        height=height,
        width=width,
        rows=(1, 1),
        device=autoencoder.device,
        dtype=autoencoder.dtype,
    )


def _names(conditions: RowConditions, shallow: bool) -> list[str]:
    absent = {
        "identity": conditions.identity is None,
        "identity_scales": conditions.identity is None,
        "text_embeds": conditions.text_embeds is None,
        "time_ids": conditions.time_ids is None,
        "deep": not shallow,
    }
    return [name for name in _NAMES if not absent.get(name, False)]


def _packed(conditions: RowConditions) -> Given:
    identity: KeyValues | None = conditions.identity
    packed = None if identity is None else identity.packed
    return Given(conditions.text.packed, packed, conditions.identity_scales)
