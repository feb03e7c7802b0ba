"""One request through the stages, from photos to verified pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fusion.conditioning import Conditioning
from fusion.gate import Attempt, attempts
from fusion.memory import peak_device_bytes, peak_resident_bytes
from fusion.progress import Event, EventKind, Handle
from fusion.prompt_memory import PromptMemory
from fusion.request import FusionRequest, ResolvedRequest
from fusion.result import FusionResult, IdentitySimilarity, PictureReport
from fusion.sampler import Anchor
from fusion.settings import EngineSettings
from fusion.source import Drawer, ModelSource
from fusion.stages.analyse import Analysed, FaceStore, analyse
from fusion.stages.blend import Blend, blend
from fusion.stages.compose import Canvas, compose
from fusion.stages.condition import Conditioned, KeyValueStore, condition
from fusion.stages.decode import decode
from fusion.stages.denoise import denoise
from fusion.stages.photos import Photos, read_photos
from fusion.stages.prepare import anchor_of, prepare_canvas, prepare_row
from fusion.stages.prompt import write_prompt
from fusion.stages.verify import Verified, verify
from fusion.task import TaskState
from fusion.trace import Notes, Stage, TraceRecorder
from fusion.usage import Usage
from prompting import PromptPlan


@dataclass(frozen=True)
class _Candidate:
    """A picture as drawn in one attempt."""

    pixels: NDArray[np.uint8]
    seed: int
    attempt: Attempt
    look: Verified | None

    @property
    def score(self) -> float:
        if self.look is None or not self.look.face_found:
            return -1.0
        return self.look.wished


@dataclass(frozen=True)
class _Ground:
    """What all attempts at a request share."""

    drawer: Drawer
    plan: PromptPlan
    conditioning: Conditioning
    wish: Blend | None
    canvas: Canvas | None
    anchor: Anchor | None
    analysed: Analysed


class Run:
    """Draws one request.

    What is wrong with its pictures and faces is raised before the models that draw are loaded;
    finding faces takes the face pack, and PromptTooLong the models' own tokenizer.
    """

    def __init__(
        self,
        request: FusionRequest,
        resolved: ResolvedRequest,
        source: ModelSource,
        store: FaceStore,
        prompts: PromptMemory,
        key_values: KeyValueStore,
        settings: EngineSettings,
        handle: Handle,
    ) -> None:
        self.request = request
        self.resolved = resolved
        self.source = source
        self.store = store
        self.prompts = prompts
        self.key_values = key_values
        self.settings = settings
        self.handle = handle
        self.recorder = TraceRecorder()
        self.conditioned: Conditioned | None = None
        self.leases = ExitStack()
        self.evaluations = 0
        self.drawings = 0
        self.steps = 0
        self.attempt = 1
        self.tried = [0] * resolved.count
        self.warnings: list[str] = list(source.warnings)

    def __call__(self) -> FusionResult:
        """The result. Raises FusionCancelled, and whatever the stages raise."""
        with torch.inference_mode(), self.leases:
            ground = self._prepare()
            best = self._attempts(ground)
        self._warn(best)
        return self._result(ground, best)

    @contextmanager
    def _visit(self, stage: Stage) -> Iterator[Notes]:
        """One visit to a stage: not begun once cancelled, announced, recorded, in the task."""
        self.handle.check()
        self.handle.emit(Event(self.handle.task.id, EventKind.STAGE, stage, attempt=self.attempt))
        try:
            with self.recorder.visit(stage) as notes:
                yield notes
        finally:
            self.handle.advance(self.handle.task.traced(self.recorder.trace))

    def _prepare(self) -> _Ground:
        resolved, source = self.resolved, self.source
        with self._visit(Stage.PHOTOS):
            photos = read_photos(self.request)
            task = self.handle.task
            self.handle.advance(task.referring(photos.references(task.references)))
        with self._visit(Stage.ANALYSE) as notes:
            analysed = analyse(
                photos,
                [identity.face for identity in resolved.identities],
                resolved.target_face,
                source.analyser,
                self.store,
                notes,
            )
        with self._visit(Stage.BLEND) as notes:
            wish = self._blend(analysed, notes)
        drawer = self._load()
        with self._visit(Stage.PROMPT) as notes:
            for decision in resolved.decisions:
                notes.decided(decision)
            positions = int(drawer.tokenizer.model_max_length)
            layout = self.prompts.layout
            plan = write_prompt(resolved.words, drawer.tokenizer, positions, notes, layout)
        with self._visit(Stage.CONDITION) as notes:
            conditioning = self._condition(drawer, plan, wish, notes)
        canvas, anchor = self._canvas(drawer, photos, analysed)
        return _Ground(drawer, plan, conditioning, wish, canvas, anchor, analysed)

    def _load(self) -> Drawer:
        if self.source.loaded:
            return self.source.drawer()
        with self._visit(Stage.LOAD), torch.inference_mode(False):
            return self.source.drawer()

    def _blend(self, analysed: Analysed, notes: Notes) -> Blend | None:
        if not self.source.knows_identities:
            return None
        embeddings = []
        for given, face in zip(self.request.identities, analysed.identities, strict=True):
            if given.embedding is not None:
                embeddings.append(given.embedding)
            elif face is not None:
                embeddings.append(face.embedding)
        weights = [identity.weight for identity in self.resolved.identities]
        if not embeddings and analysed.target is not None:
            notes.decided("identity: none given, so the target's own person is kept")
            embeddings, weights = [analysed.target.embedding], [1.0]
        if not embeddings:
            return None
        if len(embeddings) > 1:
            shares = ", ".join(f"{one.name} {one.weight:.0%}" for one in self.resolved.identities)
            notes.decided(f"identity: {shares}")
        return blend(embeddings, weights)

    def _condition(
        self, drawer: Drawer, plan: PromptPlan, wish: Blend | None, notes: Notes
    ) -> Conditioning:
        embedding = None
        if self.source.knows_identities:
            # Without a person the adapter is given what it was trained with when it had none.
            embedding = np.zeros(512, np.float32) if wish is None else wish.embedding
        conditioned = condition(
            plan,
            embedding,
            tokenizer=drawer.tokenizer,
            encoder=self.prompts.encoder(drawer.text_encoder),
            denoiser=drawer.denoiser.given,
            store=self.key_values,
            leases=self.leases,
            dtype=drawer.dtype,
            guided=self.resolved.guidance_scale > 1,
            identity_scale=self.resolved.identity_scale,
        )
        self.conditioned = conditioned
        prompt = conditioned.encoded[0]
        self.prompts.drawn(
            plan, prompt.computed + prompt.reused, prompt.reused, drawer.tokenizer, notes
        )
        return conditioned.conditioning

    def _canvas(
        self, drawer: Drawer, photos: Photos, analysed: Analysed
    ) -> tuple[Canvas | None, Anchor | None]:
        if photos.target is None or analysed.target is None:
            return None, None
        with self._visit(Stage.PREPARE) as notes:
            canvas = prepare_canvas(
                photos.target,
                analysed.target,
                self.resolved.size[0],
                self.settings.placement,
                self.source.placement,
                self.settings.mask,
                notes,
            )
            anchor = anchor_of(canvas, drawer.vae, drawer.factor, drawer.device, drawer.dtype)
        return canvas, anchor

    def _attempts(self, ground: _Ground) -> list[_Candidate]:
        """The best drawing of every picture; those below the gate are drawn again."""
        resolved = self.resolved
        best: dict[int, _Candidate] = {}
        pending = list(range(resolved.count))
        for attempt in attempts(resolved, self.settings.retry_scale_growth):
            self.attempt = attempt.number
            for index in pending:
                self.tried[index] += 1
            for index, candidate in zip(pending, self._draw(ground, pending, attempt), strict=True):
                if index not in best or candidate.score > best[index].score:
                    best[index] = candidate
            pending = [index for index in pending if best[index].score < resolved.min_identity]
            if not pending:
                break
        return [best[index] for index in range(resolved.count)]

    def _draw(self, ground: _Ground, indices: Sequence[int], attempt: Attempt) -> list[_Candidate]:
        resolved, drawer = self.resolved, ground.drawer
        seeds = [attempt.seed(index) for index in indices]
        conditioning = ground.conditioning.scaled(attempt.identity_scale)
        side = resolved.size
        with self._visit(Stage.PREPARE) as notes:
            if attempt.number > 1:
                notes.decided(
                    f"identity gate: {len(indices)} below {resolved.min_identity:.2f}, attempt "
                    f"{attempt.number} with seed {seeds[0]} and identity scale "
                    f"{attempt.identity_scale:.2f}"
                )
            rows = [
                prepare_row(
                    resolved,
                    drawer.scheduler,
                    seed=seed,
                    shape=(drawer.channels, side[1] // drawer.factor, side[0] // drawer.factor),
                    device=drawer.device,
                    dtype=drawer.dtype,
                    anchor=ground.anchor,
                )
                for seed in seeds
            ]
            self.steps = len(rows[0].timesteps)
        with self._visit(Stage.DENOISE):
            latents, evaluations = denoise(
                rows,
                [conditioning] * len(rows),
                drawer.denoiser,
                self._on_step,
                self.settings.largest_batch,
            )
        self.evaluations += evaluations
        self.drawings += len(rows)
        with self._visit(Stage.DECODE):
            pictures = [decode(drawer.vae, one) for one in latents]
        if ground.canvas is not None:
            with self._visit(Stage.COMPOSE):
                pictures = [compose(one, ground.canvas, self.settings.colour) for one in pictures]
        looks = self._look(ground, pictures)
        return [
            _Candidate(pixels, seed, attempt, look)
            for pixels, seed, look in zip(pictures, seeds, looks, strict=True)
        ]

    def _look(
        self, ground: _Ground, pictures: Sequence[NDArray[np.uint8]]
    ) -> list[Verified | None]:
        analyser, wish = self.source.analyser, ground.wish
        if not self.resolved.verify or analyser is None or wish is None:
            return [None] * len(pictures)
        near = None if ground.analysed.target is None else ground.analysed.target.box
        with self._visit(Stage.VERIFY) as notes:
            looks = [verify(picture, wish, analyser, near) for picture in pictures]
            measured = ", ".join(f"{look.wished:.3f}" for look in looks)
            notes.decided(f"identity: {measured} to the wished face")
        return list(looks)

    def _on_step(self, done: int, steps: int) -> None:
        self.handle.check()
        if done:
            self.handle.emit(
                Event(self.handle.task.id, EventKind.STEP, Stage.DENOISE, done, steps, self.attempt)
            )

    def _warn(self, best: Sequence[_Candidate]) -> None:
        least = self.resolved.min_identity
        for number, (picture, tried) in enumerate(zip(best, self.tried, strict=True), 1):
            if picture.look is not None and not picture.look.face_found:
                self.warnings.append(f"picture {number}: no face was found in it")
            if self.resolved.gated and picture.score < least:
                self.warnings.append(
                    f"picture {number}: identity {max(picture.score, 0):.2f} after {tried} "
                    f"attempts, {least:.2f} was asked for"
                )

    def _result(self, ground: _Ground, best: Sequence[_Candidate]) -> FusionResult:
        trace = self.recorder.trace
        seconds = trace.seconds_by_stage()
        conditioned = self.conditioned
        assert conditioned is not None
        usage = Usage(
            images=len(best),
            attempts=self.drawings,
            steps=self.steps,
            tokens=ground.plan.tokens,
            baseline_tokens=ground.plan.baseline_tokens,
            positions_computed=sum(text.computed for text in conditioned.encoded),
            positions_reused=sum(text.reused for text in conditioned.encoded),
            projections_computed=conditioned.projections_computed,
            projections_reused=conditioned.projections_reused,
            denoiser_evaluations=self.evaluations,
            faces_analysed=ground.analysed.analysed,
            faces_reused=ground.analysed.reused,
            seconds=sum(seconds.values()),
            seconds_by_stage=seconds,
            peak_memory_bytes=peak_resident_bytes(),
            peak_device_bytes=peak_device_bytes(ground.drawer.device),
        )
        return FusionResult(
            images=tuple(Image.fromarray(one.pixels) for one in best),
            pictures=tuple(self._report(index, one) for index, one in enumerate(best)),
            plan=ground.plan,
            usage=usage,
            trace=trace,
            warnings=tuple(self.warnings),
            request=self.resolved,
            task=self.handle.task.traced(trace).now(TaskState.DONE),
            model=self.source.name,
            model_digest=self.source.digest,
        )

    def _report(self, index: int, picture: _Candidate) -> PictureReport:
        look = picture.look
        similarity: tuple[IdentitySimilarity, ...] = ()
        if look is not None and self.resolved.identities:
            similarity = tuple(
                IdentitySimilarity(identity.name, identity.weight, cosine)
                for identity, cosine in zip(self.resolved.identities, look.parts, strict=True)
            )
        return PictureReport(
            seed=picture.seed,
            identity_scale=picture.attempt.identity_scale,
            attempts=self.tried[index],
            verified=look is not None,
            face_found=look is not None and look.face_found,
            wished_cosine=0.0 if look is None else look.wished,
            similarity=similarity,
        )
