"""Before the first step: what all attempts at a request stand on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch

from cache import Namespace
from fusion.complexity import Complexity, choose_steps, detail, openness
from fusion.given_mask import share_within
from fusion.placement import Square, square_around
from fusion.progress import Handle
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest
from fusion.sampler import Anchor
from fusion.settings import EngineSettings
from fusion.shared import Shared, namespace_of
from fusion.source import Drawer, check_supported
from fusion.stages.analyse import Analysed, analyse
from fusion.stages.blend import Blend, blend
from fusion.stages.compose import Canvas
from fusion.stages.condition import Conditioned, condition
from fusion.stages.photos import Photos, read_photos
from fusion.stages.prepare import anchor_of, prepare_canvas
from fusion.stages.prompt import write_prompt
from fusion.trace import Notes, Stage
from fusion.visits import Visits
from prompting import PromptPlan


@dataclass(frozen=True, eq=False)
class Ground:
    """What all attempts at a request share. wish: the face, None where nobody is asked for."""

    drawer: Drawer
    plan: PromptPlan
    conditioned: Conditioned
    wish: Blend | None
    canvas: Canvas | None
    anchor: Anchor | None
    analysed: Analysed


def lay_ground(
    request: FusionRequest,
    resolved: ResolvedRequest,
    shared: Shared,
    visits: Visits,
    leases: ExitStack,
) -> Ground:
    """Photos, faces, words and target, each in its stage. leases: keep what is used in the stores.

    What is wrong with pictures and faces is raised before the models that draw are loaded.
    Raises FusionCancelled, Unsupported where adapters have changed since, and whatever the stages
    raise.
    """
    check_supported(request, shared.source)
    work = _Groundwork(request, resolved, shared, visits.handle, leases)
    photos = visits.run(Stage.PHOTOS, work.read)
    analysed, square = visits.run(Stage.ANALYSE, lambda notes: work.analyse(photos, notes))
    counted = visits.handle.counted
    counted(faces_analysed=analysed.analysed, faces_reused=analysed.reused)
    wish = visits.run(Stage.BLEND, lambda notes: work.blend(analysed, notes))
    if not shared.source.loaded:
        visits.run(Stage.LOAD, lambda notes: _load(shared))
    drawer = shared.source.drawer()
    plan = visits.run(Stage.PROMPT, lambda notes: work.plan(drawer, notes))
    counted(tokens=plan.tokens, baseline_tokens=plan.baseline_tokens)
    conditioned = visits.run(
        Stage.CONDITION, lambda notes: work.condition(drawer, plan, wish, notes)
    )
    counted(
        positions_computed=sum(text.computed for text in conditioned.encoded),
        positions_reused=sum(text.reused for text in conditioned.encoded),
        projections_computed=conditioned.projections_computed,
        projections_reused=conditioned.projections_reused,
    )
    canvas = anchor = None
    if square is not None:
        canvas, anchor = visits.run(
            Stage.PREPARE, lambda notes: work.prepare(photos, analysed, square, drawer, notes)
        )
    return Ground(drawer, plan, conditioned, wish, canvas, anchor, analysed)


def settled_steps(
    resolved: ResolvedRequest, ground: Ground, settings: EngineSettings, notes: Notes
) -> ResolvedRequest:
    """The request with its steps chosen, now that its words and target are known."""
    fewest, most = resolved.steps_range
    if resolved.few:
        notes.decided(f"steps: few, which are {resolved.steps} of {resolved.scheduler}")
    if fewest == most:
        return resolved
    complexity = Complexity(openness(ground.plan.tokens))
    if (canvas := ground.canvas) is not None:
        seen = detail(canvas.picture(), canvas.mask(canvas.side))
        complexity = replace(complexity, strength=resolved.strength, detail=seen)
    steps, reason = choose_steps(complexity, fewest, most, settings.steps)
    notes.decided(reason)
    return replace(resolved, steps=steps)


@dataclass(frozen=True, eq=False)
class _Groundwork:
    """The stages of one request's ground, each a method; any of them may be tried again."""

    request: FusionRequest
    resolved: ResolvedRequest
    shared: Shared
    handle: Handle
    leases: ExitStack

    @property
    def namespace(self) -> Namespace:
        return namespace_of(self.handle.task.namespace)

    def read(self, notes: Notes) -> Photos:
        photos = read_photos(self.request)
        task = self.handle.task
        self.handle.advance(task.referring(photos.references(task.references)))
        return photos

    def analyse(self, photos: Photos, notes: Notes) -> tuple[Analysed, Square | None]:
        """The faces, and the square of the target that is worked on."""
        resolved, shared = self.resolved, self.shared
        analysed = analyse(
            photos,
            [identity.face for identity in resolved.identities],
            resolved.target_face,
            shared.source.analyser,
            shared.faces,
            notes,
            self.namespace,
        )
        if photos.target is None or analysed.target is None:
            return analysed, None
        height, width = photos.target.pixels.shape[:2]
        placement, usual = shared.settings.placement, shared.source.placement
        box, side = analysed.target.box, resolved.size[0]
        square = square_around(box, (width, height), side, placement, usual)
        if photos.mask is not None:
            share_within(photos.mask.pixels, square)  # refused before models are loaded
        return analysed, square

    def blend(self, analysed: Analysed, notes: Notes) -> Blend | None:
        if not self.shared.source.knows_identities:
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

    def plan(self, drawer: Drawer, notes: Notes) -> PromptPlan:
        positions = int(drawer.tokenizer.model_max_length)
        layout = self.shared.prompts.layout_of(self.namespace)
        return write_prompt(self.resolved.words, drawer.tokenizer, positions, notes, layout)

    def condition(
        self, drawer: Drawer, plan: PromptPlan, wish: Blend | None, notes: Notes
    ) -> Conditioned:
        resolved, shared, embedding = self.resolved, self.shared, None
        if shared.source.knows_identities:
            # Without a person the adapter is given what it was trained with when it had none.
            embedding = np.zeros(512, np.float32) if wish is None else wish.embedding
        conditioned = condition(
            plan,
            embedding,
            encoders=shared.prompts.encoders(drawer.towers),
            denoiser=drawer.denoiser.given,
            store=shared.key_values,
            leases=self.leases,
            dtype=drawer.dtype,
            guided=resolved.guidance_scale > 1,
            identity_scale=resolved.identity_scale,
            zeroes=drawer.zeroes and not resolved.words.negative_given and not plan.negative_prompt,
            namespace=self.namespace,
        )
        prompt = conditioned.encoded[0]
        positions = prompt.computed + prompt.reused
        shared.prompts.drawn(
            plan, positions, prompt.reused, drawer.tokenizer, notes, self.namespace
        )
        return conditioned

    def prepare(
        self, photos: Photos, analysed: Analysed, square: Square, drawer: Drawer, notes: Notes
    ) -> tuple[Canvas, Anchor]:
        assert analysed.target is not None
        shape, side = self.shared.settings.mask, self.resolved.size[0]
        canvas = prepare_canvas(photos, analysed.target, square, side, shape, notes)
        anchor = anchor_of(
            canvas,
            drawer.vae,
            drawer.factor,
            drawer.device,
            drawer.dtype,
            upcasts=drawer.upcasts,
        )
        return canvas, anchor


def _load(shared: Shared) -> None:
    with torch.inference_mode(False):
        shared.source.drawer()
