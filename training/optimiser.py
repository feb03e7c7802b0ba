"""Muon: momentum whose matrices are orthogonalised before they are applied (Jordan et al. 2024).

Its update has the size of AdamW's (0.2 * sqrt(larger side), Liu et al. 2025), so both share one
learning rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST_SIDE = 24  # thinner matrices (first and last layers) gain nothing


def is_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a linear map between wide spaces: a kernel or weight, no table, norm
    or bias.
    """
    if parameter.ndim < 2 or "embedding" in name:
        return False
    return bool(min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_SIDE)


def orthogonalised(matrices: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: [batch, rows, columns], rows <= columns, by
    Newton-Schulz.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, b * gram + c * gram @ gram, x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """For matrices only; kernels are taken as [out, in * height * width]."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                update = self._momentum(parameter, group["momentum"]).reshape(len(parameter), -1)
                if update.shape[0] > update.shape[1]:
                    update = update.mT
                by_shape.setdefault((update.shape[0], update.shape[1]), []).append(
                    (parameter, update)
                )
            for shape, members in by_shape.items():
                self._apply(group, shape, members)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        state = self.state[parameter]
        gradient = parameter.grad
        assert gradient is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        buffer: Tensor = state["momentum"]
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)  # Nesterov

    def _apply(
        self,
        group: dict[str, Any],
        shape: tuple[int, int],
        members: list[tuple[nn.Parameter, Tensor]],
    ) -> None:
        stacked = torch.stack([update for _, update in members]).to(torch.bfloat16)
        updates = orthogonalised(stacked).float() * (0.2 * max(shape) ** 0.5)
        for (parameter, _), update in zip(members, updates, strict=True):
            if parameter.shape[0] > parameter[0].numel():
                update = update.mT
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"])
