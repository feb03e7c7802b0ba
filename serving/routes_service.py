"""Everything beside drawing: prompts, models, health, metrics."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from fusion import FusionRequest
from serving.answers import prompt_answer
from serving.context import Here, MetricsReader, Reader
from serving.errors import Unavailable
from serving.metrics import CONTENT_TYPE
from serving.wire import Health, ModelAnswer, ModelList, OptimizeRequest, PromptAnswer

router = APIRouter()


@router.post("/v1/prompts/optimize", response_model=PromptAnswer, tags=["Prompts"])
async def optimize_prompt(
    wish: Annotated[OptimizeRequest, Body()], here: Here, key: Reader
) -> Response:
    """The shortest prompt that says what attributes and words ask for; nothing is drawn."""

    def plan() -> PromptAnswer:
        request = FusionRequest(attributes=wish.attributes, text=wish.text)
        return prompt_answer(here.desk.engine.plan(request, wish.budget))

    answer = await to_thread.run_sync(plan)
    return Response(answer.model_dump_json(), media_type="application/json")


@router.get("/v1/models", response_model=ModelList, tags=["Models"])
async def list_models(here: Here, key: Reader) -> ModelList:
    """The models served here."""
    others = [here.model.model_copy(update={"id": alias}) for alias in here.settings.aliases]
    return ModelList(data=(here.model, *others))


@router.get("/v1/models/{name}", response_model=ModelAnswer, tags=["Models"])
async def model(name: Annotated[str, Path(max_length=128)], here: Here, key: Reader) -> ModelAnswer:
    """One model."""
    here.check_model(name)
    return here.model.model_copy(update={"id": name})


@router.get("/healthz", response_model=Health, tags=["Service"])
async def health() -> Health:
    """Whether the server lives."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health, tags=["Service"])
async def ready(here: Here) -> Health:
    """Whether the server takes requests: not before the models are loaded, nor while it ends."""
    if here.desk.draining:
        raise Unavailable("shutting_down", "the server is about to end")
    if not here.desk.engine.loaded:
        raise Unavailable("loading", "the models are being loaded: ask again in some seconds")
    return Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    tags=["Service"],
    responses={200: {"description": "Prometheus", "content": {"text/plain": {}}}},
)
async def metrics(here: Here, key: MetricsReader) -> Response:
    """Counters and gauges of the whole server, for a key with the scope `metrics`."""
    text = await to_thread.run_sync(here.metrics.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
