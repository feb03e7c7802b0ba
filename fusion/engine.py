"""The engine: requests in, portraits out, all of them through one denoising loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch

from fusion.backends import checked_backend
from fusion.bookkeeping import Bookkeeper, expected_of, opening_of
from fusion.ledger.accounts import Opening
from fusion.memory import return_memory
from fusion.ordered import in_order
from fusion.progress import Handle
from fusion.prompt_memory import PromptMemory
from fusion.queue import RequestQueue
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest, resolve
from fusion.result import FusionResult
from fusion.settings import EngineSettings
from fusion.shared import Shared, namespace_of
from fusion.source import BundleSource, ModelSource, PipelineSource, check_supported
from fusion.stages.analyse import Analyser, face_store
from fusion.stages.condition import KeyValueStore
from fusion.stages.prompt import write_prompt
from fusion.trace import Notes
from models import (
    AdapterStack,
    AppliedAdapter,
    choose_device,
    memory_mode,
    open_bundle,
    resolve_precision,
)
from prompting import PromptPlan

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    from fusion.ledger.ledger import Ledger


class Engine(RequestQueue):
    """Draws portraits with one set of models, which it loads on first use and keeps.

    Safe to share between threads. Requests wait in a bounded queue and are begun in order; those in
    work share one denoising loop, whatever they ask for. Photos and prompts are read, and pictures
    decoded, beside it. Its threads end some seconds after the last request.
    """

    def __init__(
        self,
        source: ModelSource,
        settings: EngineSettings | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """An engine over any source of models; `load` and `from_diffusers` are the usual ways.

        ledger: where its requests are booked (docs/costs.md); its owner closes it.
        """
        settings = settings or EngineSettings()
        self._source = source
        shared = Shared(
            source=source,
            faces=face_store(settings.face_store_max_bytes),
            prompts=PromptMemory(settings.prompts),
            key_values=KeyValueStore(settings.key_values_max_bytes),
            settings=settings,
        )
        super().__init__(shared, settings, Bookkeeper(ledger, source))

    @classmethod
    def load(
        cls,
        name_or_directory: str | Path,
        device: str | torch.device = "auto",
        precision: str | torch.dtype = "auto",
        backend: str = "auto",
        settings: EngineSettings | None = None,
        face_pack: str | Path | None = None,
        memory: str = "normal",
        ledger: Ledger | None = None,
    ) -> Engine:
        """An engine over a bundle, by its name or directory; the models are loaded on first use.

        backend: "auto" draws by the engines that `limner compile` has built, eager where there are
        none; another name builds what is missing for the bundle's own size on first use. face_pack:
        an InsightFace pack's name or folder, in the place of the bundle's own. memory: low, normal
        or high (docs/precision.md). ledger: where its requests are booked (docs/costs.md).
        Every file is read once and compared with the manifest's sha256.
        Raises BackendUnavailable, DeviceUnavailable, BundleNotFound, BundleCorrupt,
        FacePackRejected, MemoryModeUnknown.
        """
        mode, settings = memory_mode(memory), settings or EngineSettings()
        if mode.largest_batch is not None:
            settings = replace(settings, largest_batch=mode.largest_batch)
        # What does not go together is refused before the files are read.
        checked_backend(
            backend, where := choose_device(device), resolve_precision(precision, where), mode
        )
        bundle = open_bundle(name_or_directory, verify=True)
        source = BundleSource(bundle, device, precision, backend, face_pack, mode)
        return cls(source, settings, ledger)

    @classmethod
    def from_diffusers(
        cls,
        pipe: StableDiffusionPipeline | StableDiffusionXLPipeline,
        analyser: Analyser | None = None,
        settings: EngineSettings | None = None,
        ledger: Ledger | None = None,
    ) -> Engine:
        """An engine over a StableDiffusionPipeline or StableDiffusionXLPipeline, a FaceID adapter
        loaded or not.

        The pipeline is shared, not copied, and is left as it was after every request; do not use it
        while a request is drawn. analyser: needed for pictures; embeddings do without.
        Raises PipelineUnsupported.
        """
        return cls(PipelineSource(pipe, analyser), settings, ledger)

    @property
    def name(self) -> str:
        """Of the models: the bundle's name, or "diffusers"."""
        return self._source.name

    @property
    def loaded(self) -> bool:
        """Whether the models are in memory."""
        return self._source.loaded

    def warm(self) -> Self:
        """Load the models now rather than with the first request, and the pool to start from.

        Raises BundleCorrupt, DeviceUnavailable, PoolFileRejected.
        """
        self.prompts.encoders(self._source.drawer().towers)
        return self

    @property
    def prompts(self) -> PromptMemory:
        """What is remembered of prompts: the pool and its statistics, the layout in force."""
        return self._shared.prompts

    @property
    def key_values(self) -> KeyValueStore:
        """The denoiser's keys and values of texts and identities, and their statistics."""
        return self._shared.key_values

    def forget(self, namespace: str) -> int:
        """Drop all that is remembered of a namespace and not in use by its requests right now:
        prompts, faces, keys and values; how many entries. "" is everyone's.
        """
        return self._shared.forget(namespace_of(namespace))

    def encode_prompts(
        self, requests: Iterable[FusionRequest], *, namespace: str = ""
    ) -> Iterator[PromptPlan]:
        """Encode the words of requests without drawing, so that the same words cost nothing later;
        each request's plan, as it is done.

        Raises what `resolve` raises, and PromptTooLong.
        """
        drawer, tenant = self._source.drawer(), namespace_of(namespace)
        encoders = self.prompts.encoders(drawer.towers)
        for request in requests:
            plan = self.plan(request, namespace=namespace)
            for text in (plan.prompt, plan.negative_prompt):
                with self._encoding:
                    encoders.encode(text, tenant)
            yield plan

    def plan(
        self, request: FusionRequest, budget: int | None = None, *, namespace: str = ""
    ) -> PromptPlan:
        """The prompt a request would be drawn from; nothing is encoded or drawn.

        budget: tokens without start and end marks; None is all that the text encoder takes.
        Raises what `resolve` raises, and PromptTooLong.
        """
        tokenizer = self._source.drawer().tokenizer
        most = int(tokenizer.model_max_length)
        positions = most if budget is None else min(budget + 2, most)
        words, layout = self.resolve(request).words, self.prompts.layout_of(namespace_of(namespace))
        return write_prompt(words, tokenizer, positions, Notes(), layout)

    def opening(self, request: FusionRequest, request_id: str) -> Opening:
        """The request as a ledger opens it, with the most it should take; for who books himself.

        Raises what `resolve` raises.
        """
        resolved = self.resolve(request)
        expected = expected_of(resolved, self._books.pace)
        return opening_of(resolved, self._source, request_id, expected)

    def remember_pace(self, evaluations: int, nanoseconds: int) -> None:
        """So many pictures through the denoiser took so long before, for who books himself: what
        `opening` expects is reckoned with it until something is drawn here.
        """
        self._books.pace.remember(evaluations, nanoseconds)

    def resolve(self, request: FusionRequest) -> ResolvedRequest:
        """The request with every question answered by this engine, nothing read or drawn.

        Raises InvalidRequest, Unsupported and their kinds, UnknownAttribute, InvalidAttribute.
        """
        resolved = resolve(request, self._source.defaults)
        check_supported(request, self._source)
        return resolved

    def fuse(
        self, request: FusionRequest, *, namespace: str = "", task_id: str | None = None
    ) -> FusionResult:
        """Draw a request and wait for it; waits for its turn where others are before it.

        namespace, task_id: as `submit` takes them. An interrupt while waiting cancels the request.
        Raises what `resolve` raises, the errors of `models` about pictures and faces,
        PromptTooLong, EngineClosed.
        """
        handle = self._enqueue(request, namespace, task_id, wait=True)
        try:
            return handle.result()
        except BaseException:
            handle.cancel()
            raise

    def fuse_all(
        self, requests: Iterable[FusionRequest], *, namespace: str = ""
    ) -> Iterator[FusionResult]:
        """Draw many at once; their results in the order given, as they come.

        Raises what `fuse` raises, for the first that fails; those after it are cancelled, as they
        are when the iteration is given up.
        """
        return in_order(requests, lambda one: self._enqueue(one, namespace, None, wait=True))

    def submit(
        self, request: FusionRequest, *, namespace: str = "", task_id: str | None = None
    ) -> Handle:
        """Queue a request and return at once.

        namespace: whose request it is; nothing remembered of it (prompts, faces, keys and values)
        is shared with another. task_id: of its task; None for a new one.
        Raises what `resolve` raises, EngineBusy where the queue is full, EngineClosed. What is
        wrong with pictures is raised by the handle's `result`.
        """
        return self._enqueue(request, namespace, task_id, wait=False)

    @property
    def adapters(self) -> tuple[AppliedAdapter, ...]:
        """What is merged into the weights: LoRA, and the FaceID."""
        return self._source.drawer().adapters.adapters

    def adapt(self, change: Callable[[AdapterStack], None]) -> tuple[AppliedAdapter, ...]:
        """Add, scale, swap or remove LoRA and FaceID (docs/adapters.md); what is on then.

        change: given the stack. Waits for the requests there are. Other engines of the bundle draw
        as before: its models are loaded once more for this one, until `unload`. A pipeline's own
        weights are changed. Raises AdapterRejected, which leaves all as it was, and EngineBusy.
        """
        with self._alone("adapt"):
            drawer = self._source.own_drawer()
            try:
                with torch.inference_mode(False), torch.no_grad(), drawer.adapters.all_or_nothing():
                    change(drawer.adapters)
            finally:
                drawer.backend.forget()  # some hold the weights as they were
            return drawer.adapters.adapters

    def unload(self) -> None:
        """Give the models back, with what is remembered of words and faces in their memory; the
        next request loads them again. Waits for the requests there are.

        The models themselves leave memory with the last engine that uses them; those of a pipeline
        are its owner's. Raises EngineBusy where a request's own thread asks.
        """
        with self._alone("unload"):
            self._release()
            self.prompts.pool.clear()
            self.key_values.clear()
        return_memory()
