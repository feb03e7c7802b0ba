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
from fusion.request import FusionRequest
from fusion.resolved import ResolvedRequest
from fusion.sampler import Anchor
from fusion.settings import EngineSettings
from fusion.shared import Shared, namespace_of
from fusion.source import Drawer
from fusion.stages.analyse import Analysed, analyse
from fusion.stages.blend import Blend, blend
from fusion.stages.compose import Canvas
from fusion.stages.condition import Conditioned, condition
from fusion.stages.photos import Photo, read_photos
from fusion.stages.prepare import anchor_of, prepare_canvas
from fusion.stages.prompt import write_prompt
from fusion.trace import Notes, Stage
from fusion.visits import Visits
from models import Face
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
    Raises FusionCancelled, and whatever the stages raise.
    """
    source = shared.source
    namespace = namespace_of(visits.handle.task.namespace)
    with visits.to(Stage.PHOTOS):
        photos = read_photos(request)
        task = visits.handle.task
        visits.handle.advance(task.referring(photos.references(task.references)))
    with visits.to(Stage.ANALYSE) as notes:
        analysed = analyse(
            photos,
            [identity.face for identity in resolved.identities],
            resolved.target_face,
            source.analyser,
            shared.faces,
            notes,
            namespace,
        )
        square = None
        if photos.target is not None and analysed.target is not None:
            square = _square(resolved, shared, photos.target, analysed.target)
            if photos.mask is not None:
                share_within(photos.mask.pixels, square)  # refused before models are loaded
    with visits.to(Stage.BLEND) as notes:
        wish = _blend(request, resolved, analysed, notes) if source.knows_identities else None
    drawer = _load(shared, visits)
    with visits.to(Stage.PROMPT) as notes:
        positions = int(drawer.tokenizer.model_max_length)
        layout = shared.prompts.layout_of(namespace)
        plan = write_prompt(resolved.words, drawer.tokenizer, positions, notes, layout)
    with visits.to(Stage.CONDITION) as notes:
        conditioned = _condition(resolved, shared, drawer, plan, wish, leases, namespace)
        prompt = conditioned.encoded[0]
        positions = prompt.computed + prompt.reused
        shared.prompts.drawn(plan, positions, prompt.reused, drawer.tokenizer, notes, namespace)
    canvas = anchor = None
    if square is not None and analysed.target is not None:
        with visits.to(Stage.PREPARE) as notes:
            shape, side = shared.settings.mask, resolved.size[0]
            canvas = prepare_canvas(photos, analysed.target, square, side, shape, notes)
            anchor = anchor_of(canvas, drawer.vae, drawer.factor, drawer.device, drawer.dtype)
    return Ground(drawer, plan, conditioned, wish, canvas, anchor, analysed)


def settled_steps(
    resolved: ResolvedRequest, ground: Ground, settings: EngineSettings, notes: Notes
) -> ResolvedRequest:
    """The request with its steps chosen, now that its words and target are known."""
    fewest, most = resolved.steps_range
    if fewest == most:
        return resolved
    complexity = Complexity(openness(ground.plan.tokens))
    if (canvas := ground.canvas) is not None:
        seen = detail(canvas.picture(), canvas.mask(canvas.side))
        complexity = replace(complexity, strength=resolved.strength, detail=seen)
    steps, reason = choose_steps(complexity, fewest, most, settings.steps)
    notes.decided(reason)
    return replace(resolved, steps=steps)


def _load(shared: Shared, visits: Visits) -> Drawer:
    if shared.source.loaded:
        return shared.source.drawer()
    with visits.to(Stage.LOAD), torch.inference_mode(False):
        return shared.source.drawer()


def _blend(
    request: FusionRequest, resolved: ResolvedRequest, analysed: Analysed, notes: Notes
) -> Blend | None:
    embeddings = []
    for given, face in zip(request.identities, analysed.identities, strict=True):
        if given.embedding is not None:
            embeddings.append(given.embedding)
        elif face is not None:
            embeddings.append(face.embedding)
    weights = [identity.weight for identity in resolved.identities]
    if not embeddings and analysed.target is not None:
        notes.decided("identity: none given, so the target's own person is kept")
        embeddings, weights = [analysed.target.embedding], [1.0]
    if not embeddings:
        return None
    if len(embeddings) > 1:
        shares = ", ".join(f"{one.name} {one.weight:.0%}" for one in resolved.identities)
        notes.decided(f"identity: {shares}")
    return blend(embeddings, weights)


def _condition(
    resolved: ResolvedRequest,
    shared: Shared,
    drawer: Drawer,
    plan: PromptPlan,
    wish: Blend | None,
    leases: ExitStack,
    namespace: Namespace,
) -> Conditioned:
    embedding = None
    if shared.source.knows_identities:
        # Without a person the adapter is given what it was trained with when it had none.
        embedding = np.zeros(512, np.float32) if wish is None else wish.embedding
    return condition(
        plan,
        embedding,
        tokenizer=drawer.tokenizer,
        encoder=shared.prompts.encoder(drawer.text_encoder),
        denoiser=drawer.denoiser.given,
        store=shared.key_values,
        leases=leases,
        dtype=drawer.dtype,
        guided=resolved.guidance_scale > 1,
        identity_scale=resolved.identity_scale,
        namespace=namespace,
    )


def _square(resolved: ResolvedRequest, shared: Shared, target: Photo, face: Face) -> Square:
    """Of the target, what is worked on."""
    height, width = target.pixels.shape[:2]
    placement, usual = shared.settings.placement, shared.source.placement
    return square_around(face.box, (width, height), resolved.size[0], placement, usual)
