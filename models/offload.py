"""Models that live in the machine's memory and visit the device while they are used.

accelerate's chain of offloads moves one model out when the next begins, which suits a pipeline.
Here pictures are decoded and prompts encoded beside the drawing, by other threads: so each visits
by itself, stays while anyone uses it, and never moves the denoiser.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from torch import nn


class Visit:
    """A model's place: the device while someone uses it, else its home. Thread-safe."""

    def __init__(self, module: nn.Module, device: torch.device, home: torch.device) -> None:
        self._module = module
        self._device = device
        self._home = home
        self._users = 0
        self._lock = threading.Lock()

    def arrive(self) -> None:
        """Someone begins to use the model."""
        with self._lock:
            if self._users == 0:
                self._module.to(self._device)
            self._users += 1

    def leave(self) -> None:
        """Someone is done with it; the last one sends it home."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._module.to(self._home)

    @contextmanager
    def used(self) -> Iterator[None]:
        """On the device within it."""
        self.arrive()
        try:
            yield
        finally:
            self.leave()


class VisitHook(ModelHook):
    """accelerate's hook of a model whose forward is called or walked."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Before a forward."""
        self.visit.arrive()
        return args, kwargs

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        """After it."""
        self.visit.leave()
        return output


@contextmanager
def resident(module: nn.Module) -> Iterator[None]:
    """On its device within it, for code that walks a module's forward instead of calling it.

    Whatever offload of accelerate's it has is told of the beginning, as in a call; of the end only
    a visit is, for accelerate's own would take away what the next walk needs.
    """
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        hook.pre_forward(module)
    try:
        yield
    finally:
        if isinstance(hook, VisitHook):
            hook.visit.leave()


def visit_by_forward(
    module: nn.Module, device: torch.device, home: torch.device
) -> Callable[[], None]:
    """Let a model visit for each forward; the inverse is returned, and leaves it on the device."""
    add_hook_to_module(module, VisitHook(Visit(module, device, home)))
    module.to(home)

    def undo() -> None:
        remove_hook_from_module(module)
        module.to(device)

    return undo


def visit_by_methods(
    module: nn.Module, names: tuple[str, ...], device: torch.device, home: torch.device
) -> Callable[[], None]:
    """Let a model visit for each call of its methods of these names, such as an autoencoder's; the
    inverse is returned, and leaves it on the device.
    """
    visit = Visit(module, device, home)
    for name in names:
        setattr(module, name, _while_used(visit, getattr(module, name)))
    module.to(home)

    def undo() -> None:
        for name in names:
            delattr(module, name)
        module.to(device)

    return undo


def _while_used(visit: Visit, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        with visit.used():
            return method(*args, **kwargs)

    return called
