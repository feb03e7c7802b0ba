"""The engine: requests in, portraits out, all of them through one denoising loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import torch

from fusion.backends import check_backend
from fusion.errors import EngineBusy, EngineClosed, FusionCancelled
from fusion.job import Job, Occupancy, check_age, state_after, task_of
from fusion.loop import StepLoop
from fusion.memory import return_memory
from fusion.ordered import in_order
from fusion.pressure import PressurePolicy
from fusion.progress import ENDING, Handle
from fusion.prompt_memory import PromptMemory
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest, resolve
from fusion.result import FusionResult
from fusion.run import Run
from fusion.settings import EngineSettings
from fusion.shared import Shared, namespace_of
from fusion.source import BundleSource, ModelSource, PipelineSource, check_supported
from fusion.stages.analyse import Analyser, face_store
from fusion.stages.condition import KeyValueStore
from fusion.stages.prompt import write_prompt
from fusion.task import TaskState
from fusion.trace import Notes
from fusion.worker import Worker
from models import (
    AdapterStack,
    AppliedAdapter,
    choose_device,
    choose_precision,
    open_bundle,
    release_team,
    single_threaded,
)
from prompting import PromptPlan

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline


class Engine:
    """Draws portraits with one set of models, which it loads on first use and keeps.

    Safe to share between threads. Requests wait in a bounded queue and are begun in order; those in
    work share one denoising loop, whatever they ask for. Photos and prompts are read, and pictures
    decoded, beside it. Its threads end some seconds after the last request.
    """

    def __init__(self, source: ModelSource, settings: EngineSettings | None = None) -> None:
        """An engine over any source of models; `load` and `from_diffusers` are the usual ways."""
        settings = settings or EngineSettings()
        self._source = source
        self._settings = settings
        self._shared = Shared(
            source=source,
            faces=face_store(settings.face_store_max_bytes),
            prompts=PromptMemory(settings.prompts),
            key_values=KeyValueStore(settings.key_values_max_bytes),
            settings=settings,
        )
        self._pressure = PressurePolicy(settings.pressure)
        self._preparer = Worker("limner-prepare", single_threaded)
        self._loop = StepLoop(lambda: source.drawer().denoiser, settings.largest_batch)
        self._finisher = Worker("limner-finish", single_threaded)
        self._waiting: deque[Job] = deque()
        self._active: dict[Job, None] = {}
        self._changed = threading.Condition()
        self._closed = False

    @classmethod
    def load(
        cls,
        name_or_directory: str | Path,
        device: str | torch.device = "auto",
        precision: str | torch.dtype = "auto",
        backend: str = "auto",
        settings: EngineSettings | None = None,
        face_pack: str | Path | None = None,
    ) -> Engine:
        """An engine over a bundle, by its name or directory; the models are loaded on first use.

        backend: "auto" draws by the engines that `limner compile` has built, eager where there are
        none; another name builds what is missing for the bundle's own size on first use. face_pack:
        an InsightFace pack's name or folder, in the place of the bundle's own.
        Every file is read once and compared with the manifest's sha256.
        Raises BackendUnavailable, DeviceUnavailable, BundleNotFound, BundleCorrupt,
        FacePackRejected.
        """
        where = choose_device(device)
        check_backend(backend, where, choose_precision(precision, where))  # now, not on first use
        bundle = open_bundle(name_or_directory, verify=True)
        return cls(BundleSource(bundle, device, precision, backend, face_pack), settings)

    @classmethod
    def from_diffusers(
        cls,
        pipe: StableDiffusionPipeline | StableDiffusionXLPipeline,
        analyser: Analyser | None = None,
        settings: EngineSettings | None = None,
    ) -> Engine:
        """An engine over a StableDiffusionPipeline or StableDiffusionXLPipeline, a FaceID adapter
        loaded or not.

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

    @property
    def occupancy(self) -> Occupancy:
        """How busy it is right now."""
        with self._changed:
            active = sum(not job.handle.done() for job in self._active)
            return Occupancy(len(self._waiting), active, self._loop.rows)

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

    def close(self, cancel: bool = False) -> None:
        """Take no more requests and wait for those there are. cancel: stop them first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            jobs = [*self._waiting, *self._active]
        if cancel:
            for job in jobs:
                job.handle.cancel()
        workers = (self._preparer, self._loop, self._finisher)
        if any(worker.is_current for worker in workers):
            return  # one of our own threads, which the requests need to come to their end
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._active)
        for worker in workers:
            worker.join()
        self._release()

    @property
    def adapters(self) -> tuple[AppliedAdapter, ...]:
        """What is merged into the weights: LoRA, and the FaceID."""
        return self._source.drawer().adapters.adapters

    def adapt(self, change: Callable[[AdapterStack], None]) -> tuple[AppliedAdapter, ...]:
        """Change the adapters between requests: add, scale, swap or remove LoRA and FaceID.

        change: given the stack, such as `lambda stack: stack.add(read_lora("style.safetensors"),
        "style", 0.8)`. Waits for the requests there are. Other engines of the same bundle draw as
        before: the models are loaded once more for this one. A pipeline's own weights are changed,
        until the adapter is removed; `unload` forgets what a bundle's were changed by. Gives what is
        on now. Raises AdapterRejected, and then nothing has changed; EngineBusy where a request's
        own thread asks.
        """
        self._refuse_own_threads("adapt")
        with self._changed:  # nothing begins meanwhile
            self._changed.wait_for(lambda: not self._waiting and not self._active)
            drawer = self._source.own_drawer()
            with torch.inference_mode(False), torch.no_grad():
                change(drawer.adapters)
            drawer.backend.forget()  # some hold the weights as they were
            return drawer.adapters.adapters

    def unload(self) -> None:
        """Give the models back, with what is remembered of words and faces in their memory; the
        next request loads them again. Waits for the requests there are.

        The models themselves leave memory with the last engine that uses them; those of a pipeline
        are its owner's. Raises EngineBusy where a request's own thread asks.
        """
        self._refuse_own_threads("unload")
        with self._changed:  # nothing begins meanwhile
            self._changed.wait_for(lambda: not self._waiting and not self._active)
            self._release()
            self.prompts.pool.clear()
            self.key_values.clear()
        return_memory()

    def _refuse_own_threads(self, what: str) -> None:
        if any(worker.is_current for worker in (self._preparer, self._loop, self._finisher)):
            raise EngineBusy(f"a request is being told of: {what} from another thread")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(cancel=error is not None)

    def _enqueue(
        self, request: FusionRequest, namespace: str, task_id: str | None, *, wait: bool
    ) -> Handle:
        resolved = self.resolve(request)
        task = task_of(request, resolved, self._settings.ttl_seconds, namespace, task_id)
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._closed or not self._full())
            if self._closed:
                raise EngineClosed("this engine was closed: load another")
            if self._full():
                raise EngineBusy(
                    f"{len(self._waiting)} requests are waiting already: try again in a while"
                )
            handle = Handle(task, on_cancel=lambda: self._withdraw(handle))
            job = Job(handle, Run(request, resolved, handle, self._shared))
            self._preparer.put(self._begin_next)  # which waits for the lock
            self._waiting.append(job)
        release_team()  # of who asks: the loop is to have the only one
        return handle

    def _release(self) -> None:
        self._source.release()
        self.prompts.release()

    def _full(self) -> bool:
        return len(self._waiting) >= self._settings.capacity

    def _queue_share(self) -> float:
        with self._changed:
            return len(self._waiting) / max(self._settings.capacity, 1)

    def _withdraw(self, handle: Handle) -> None:
        """A request that was cancelled while it waited ends at once."""
        with self._changed:
            found = [job for job in self._waiting if job.handle is handle]
            for job in found:
                self._waiting.remove(job)
                self._active[job] = None  # until it has ended
            self._changed.notify_all()
        for job in found:
            self._end(job, FusionCancelled(f"request {handle.task.id} was cancelled"))

    def _begin_next(self) -> None:
        """Begin the request that waits longest, once there is room for it."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._waiting or len(self._active) < self._settings.active_requests
            )
            if not self._waiting:
                return  # it was cancelled
            job = self._waiting.popleft()
            self._active[job] = None
            self._changed.notify_all()
        try:
            check_age(job.handle)
            job.handle.advance(job.handle.task.now(TaskState.RUNNING))
            drawing = job.run.prepare(
                partial(self._drawn, job), self._pressure, self._queue_share, self._finisher
            )
            self._loop.admit(drawing)
        except BaseException as error:
            self._end(job, error)

    def _drawn(self, job: Job, error: BaseException | None) -> None:
        """The loop has let go of a drawing; the rest is not its business."""
        self._finisher.put(partial(self._finish, job, error))

    def _finish(self, job: Job, error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error
            drawing = job.run.finish()
            if drawing is not None:
                self._loop.admit(drawing)
                return
            result = job.run.result()
        except BaseException as failure:
            self._end(job, failure)
        else:
            self._end(job, result=result)

    def _end(
        self, job: Job, error: BaseException | None = None, result: FusionResult | None = None
    ) -> None:
        """Whatever became of a request, its handle ends, and what it pinned is free."""
        handle = job.handle
        job.run.close()
        try:
            if result is not None:
                handle.end(result.task, ENDING[TaskState.DONE], result=result)
            elif error is not None:
                state = state_after(error)
                handle.end(handle.task.now(state), ENDING[state], error=error)
        finally:  # a listener was interrupted
            with self._changed:
                self._active.pop(job, None)
                self._changed.notify_all()
