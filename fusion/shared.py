"""What the requests of one engine share."""

from __future__ import annotations

from dataclasses import dataclass, field

from cache import Namespace
from fusion.connections import ConnectionCount
from fusion.prompt_memory import PromptMemory
from fusion.settings import EngineSettings
from fusion.source import ModelSource
from fusion.stages.analyse import FaceStore
from fusion.stages.condition import KeyValueStore


@dataclass(frozen=True, eq=False)
class Shared:
    """Models, and what is remembered: faces of photos, prompts, the denoiser's keys and values.

    connections: to elsewhere, opened by the engine's own threads.
    """

    source: ModelSource
    faces: FaceStore
    prompts: PromptMemory
    key_values: KeyValueStore
    settings: EngineSettings
    connections: ConnectionCount = field(default_factory=ConnectionCount)

    def forget(self, namespace: Namespace) -> int:
        """Drop what is remembered of a namespace and not in use; how many entries."""
        return (
            self.faces.clear(namespace)
            + self.prompts.forget(namespace)
            + self.key_values.clear(namespace)
        )


def namespace_of(name: str) -> Namespace:
    """A tenant's part of every cache; "" is everyone's."""
    return (name,) if name else ()
