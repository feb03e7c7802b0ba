"""The engine: requests in, portraits out, one at a time and in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import torch

from fusion.errors import BackendUnavailable, EngineBusy, EngineClosed, FusionCancelled, TaskExpired
from fusion.progress import ENDING, Handle
from fusion.prompt_memory import PromptMemory
from fusion.request import FusionRequest, ResolvedRequest, resolve
from fusion.result import FusionResult
from fusion.run import Run
from fusion.settings import EngineSettings
from fusion.source import BundleSource, ModelSource, PipelineSource, check_supported
from fusion.stages.analyse import Analyser, face_store
from fusion.stages.condition import KeyValueStore, encode_text
from fusion.stages.photos import references_of
from fusion.stages.prompt import write_prompt
from fusion.task import FusionTask, TaskState
from fusion.trace import Notes, Stage
from models import choose_device, choose_precision, open_bundle
from prompting import PromptPlan

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

BACKENDS: Final = ("auto", "eager")


@dataclass(frozen=True)
class _Job:
    request: FusionRequest
    resolved: ResolvedRequest
    handle: Handle


class Engine:
    """Draws portraits with one set of models, which it loads on first use and keeps.

    Safe to share between threads: requests wait in a bounded queue and are drawn in order. The
    drawing thread lives as long as there is something to draw.
    """

    def __init__(self, source: ModelSource, settings: EngineSettings | None = None) -> None:
        """An engine over any source of models; `load` and `from_diffusers` are the usual ways."""
        self._source = source
        self._settings = settings or EngineSettings()
        self._faces = face_store(self._settings.face_store_max_bytes)
        self._prompts = PromptMemory(self._settings.prompts)
        self._key_values = KeyValueStore(self._settings.key_values_max_bytes)
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._current: Handle | None = None
        self._closed = False

    @classmethod
    def load(
        cls,
        name_or_directory: str | Path,
        device: str | torch.device = "auto",
        precision: str | torch.dtype = "auto",
        backend: str = "auto",
        settings: EngineSettings | None = None,
    ) -> Engine:
        """An engine over a bundle, by its name or directory; the models are loaded on first use.

        Every file is read once and compared with the manifest's sha256.
        Raises BackendUnavailable, DeviceUnavailable, BundleNotFound, BundleCorrupt.
        """
        if backend not in BACKENDS:
            raise BackendUnavailable(
                f"backend {backend!r} is not available: give one of {', '.join(BACKENDS)}"
            )
        choose_precision(precision, choose_device(device))  # refused now, not on first use
        bundle = open_bundle(name_or_directory, verify=True)
        return cls(BundleSource(bundle, device, precision), settings)

    @classmethod
    def from_diffusers(
        cls,
        pipe: StableDiffusionPipeline,
        analyser: Analyser | None = None,
        settings: EngineSettings | None = None,
    ) -> Engine:
        """An engine over a StableDiffusionPipeline, a FaceID adapter loaded or not.

        The pipeline is shared, not copied, and is left as it was after every request; do not use it
        while a request is drawn. analyser: needed for pictures; embeddings do without.
        Raises PipelineUnsupported.
        """
        return cls(PipelineSource(pipe, analyser), settings)

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
        self._prompts.encoder(self._source.drawer().text_encoder)
        return self

    @property
    def prompts(self) -> PromptMemory:
        """What is remembered of prompts: the pool and its statistics, the layout in force."""
        return self._prompts

    @property
    def key_values(self) -> KeyValueStore:
        """The denoiser's keys and values of texts and identities, and their statistics."""
        return self._key_values

    def encode_prompts(self, requests: Iterable[FusionRequest]) -> Iterator[PromptPlan]:
        """Encode the words of requests without drawing, so that the same words cost nothing later;
        each request's plan, as it is done.

        Raises what `resolve` raises, and PromptTooLong.
        """
        drawer = self._source.drawer()
        encoder = self._prompts.encoder(drawer.text_encoder)
        positions = int(drawer.tokenizer.model_max_length)
        for request in requests:
            words, layout = self.resolve(request).words, self._prompts.layout
            plan = write_prompt(words, drawer.tokenizer, positions, Notes(), layout)
            for text in (plan.prompt, plan.negative_prompt):
                encode_text(text, drawer.tokenizer, encoder)
            yield plan

    def resolve(self, request: FusionRequest) -> ResolvedRequest:
        """The request with every question answered by this engine, nothing read or drawn.

        Raises InvalidRequest, Unsupported and their kinds, UnknownAttribute, InvalidAttribute.
        """
        resolved = resolve(request, self._source.defaults)
        check_supported(request, self._source)
        return resolved

    def fuse(self, request: FusionRequest) -> FusionResult:
        """Draw a request and wait for it; waits for its turn where others are before it.

        Raises what `resolve` raises, the errors of `models` about pictures and faces,
        PromptTooLong, EngineClosed. An interrupt while waiting cancels the request.
        """
        handle = self._enqueue(request, wait=True)
        try:
            return handle.result()
        except BaseException:
            handle.cancel()
            raise

    def submit(self, request: FusionRequest) -> Handle:
        """Queue a request and return at once.

        Raises what `resolve` raises, EngineBusy where the queue is full, EngineClosed. What is
        wrong with pictures is raised by the handle's `result`.
        """
        return self._enqueue(request, wait=False)

    def close(self, cancel: bool = False) -> None:
        """Take no more requests and wait for those there are. cancel: stop them first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if cancel:
                for job in self._waiting:
                    job.handle.cancel()
                if self._current is not None:
                    self._current.cancel()
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(cancel=error is not None)

    def _enqueue(self, request: FusionRequest, wait: bool) -> Handle:
        resolved = self.resolve(request)
        task = FusionTask.new(
            references_of(request), _operations(resolved), self._settings.ttl_seconds
        )
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._closed or not self._full())
            if self._closed:
                raise EngineClosed("this engine was closed: load another")
            if self._full():
                raise EngineBusy(
                    f"{len(self._waiting)} requests are waiting already: try again in a while"
                )
            job = _Job(request, resolved, Handle(task))
            self._waiting.append(job)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="limner-engine")
                self._worker.start()
        return job.handle

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.capacity

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._worker = None
                    return
                job = self._waiting.popleft()
                self._current = job.handle
                self._changed.notify_all()
            self._execute(job)
            with self._changed:
                self._current = None

    def _execute(self, job: _Job) -> None:
        """Draw one job; whatever happens ends its handle, and never the worker."""
        handle = job.handle
        try:
            handle.check()
            if handle.task.expired(time.time()):
                raise TaskExpired(
                    f"request {handle.task.id} waited longer than {handle.task.ttl_seconds:g} "
                    "seconds: submit it again"
                )
            handle.advance(handle.task.now(TaskState.RUNNING))
            run = Run(
                job.request,
                job.resolved,
                self._source,
                self._faces,
                self._prompts,
                self._key_values,
                self._settings,
                handle,
            )
            result = run()
        except BaseException as error:
            state = _state_after(error)
            handle.end(handle.task.now(state), ENDING[state], error=error)
        else:
            handle.end(result.task, ENDING[TaskState.DONE], result=result)


def _operations(resolved: ResolvedRequest) -> tuple[Stage, ...]:
    """The stages this request goes through."""
    left_out = {Stage.LOAD}
    if not resolved.fuses:
        left_out.add(Stage.COMPOSE)
    if not resolved.verify:
        left_out.add(Stage.VERIFY)
    return tuple(stage for stage in Stage if stage not in left_out)


def _state_after(error: BaseException) -> TaskState:
    if isinstance(error, FusionCancelled):
        return TaskState.CANCELLED
    return TaskState.EXPIRED if isinstance(error, TaskExpired) else TaskState.FAILED
