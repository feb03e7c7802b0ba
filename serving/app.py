"""The application: every part made once, put together, and let go of in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path

from fusion import (
    Account,
    Engine,
    EngineSettings,
    UsageTelemetry,
    free_prices,
    load_prices,
    recent_pace,
    usage_telemetry,
)
from models import open_bundle
from serving import routes_images, routes_portraits, routes_service, routes_usage
from serving.books import Books
from serving.context import Context
from serving.database import Database
from serving.desk import Desk
from serving.errors import (
    STORAGE_FAULTS,
    ApiError,
    BadRequest,
    ErrorAnswer,
    NotFound,
    ServerFault,
    Unavailable,
    translate,
)
from serving.jobs import Job, JobStore
from serving.keys import KeyStore
from serving.metrics import Metrics
from serving.middleware import BodyLimit, Gatekeeper, Outermost, error_response
from serving.registry import BEAT_SECONDS, Registry
from serving.runner import JobRunner
from serving.seal import check_seal, open_seal
from serving.settings import ServerSettings
from serving.validation import first_problem
from serving.wire import ModelAnswer, ModelFacts

log = logging.getLogger("limner.server")
SWEEP_SECONDS: Final = 60.0
PAGE_PATH: Final = "/page"
_FAILURES: Final = {
    400: "A value that cannot be used",
    401: "No key, or one that is not known",
    403: "A key that may not do this",
    404: "No such thing",
    405: "Not with this method",
    408: "The body came too slowly",
    409: "The Idempotency-Key was used for another request",
    410: "The request was cancelled",
    413: "The body is too large",
    422: "A picture whose faces cannot be used",
    429: "The queue is full, the key asked too often, or its budget does not allow it",
    500: "A fault of the server",
    503: "The server is starting or ending",
}
_DESCRIPTION: Final = """Photos of one or several people and a few words go in; a portrait that
keeps the identity and obeys the words comes out, with an exact account of what it cost.

Every call needs a key: `Authorization: Bearer lim_…`. Failures have OpenAI's shape."""


@dataclass(frozen=True, eq=False)
class Server:
    """A server's parts. `app` is what uvicorn runs; `drain` is called when it is asked to end."""

    app: FastAPI
    engine: Engine
    database: Database
    books: Books
    keys: KeyStore
    store: JobStore
    desk: Desk
    runner: JobRunner
    registry: Registry
    metrics: Metrics
    telemetry: UsageTelemetry | None
    settings: ServerSettings

    def drain(self) -> None:
        """Take no more, finish what there is time for, leave the rest for the next server."""
        self.desk.draining = True
        self.runner.drain(self.settings.drain_seconds)


def make_server(
    settings: ServerSettings,
    engine: Engine | None = None,
    engine_settings: EngineSettings | None = None,
) -> Server:
    """Put a server together; it takes requests once its application is run.

    engine: one that is loaded already. The page calls the API like anybody else, at the address
    in `app.state.url`.
    Raises BundleNotFound, BundleCorrupt, DatabaseUnusable, SecretMissing, PriceRejected.
    """
    prices = free_prices() if settings.prices is None else load_prices(settings.prices)
    bundle = open_bundle(settings.bundle)
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database_url).prepared()
    seal = open_seal(settings.folder)
    check_seal(seal, database)
    # A job waits here, and lives as long as it is kept: the engine is not to let it expire.
    working = replace(engine_settings or EngineSettings(), ttl_seconds=settings.retention_seconds)
    engine = engine or Engine.load(
        settings.bundle,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        memory=settings.memory,
        face_pack=settings.face_pack,
        settings=working,
    )
    metrics, registry, keys = Metrics(), Registry(database), KeyStore(database)
    books = Books(prices, registry.id)
    with database.reading() as connection:
        known = recent_pace(connection, engine.name)
    engine.remember_pace(known.evaluations, known.nanoseconds)
    store = JobStore(database, seal, books)

    def ended(job: Job, seconds: float) -> None:
        metrics.job_ended(job.packet, seconds)
        desk.ended(time.time())

    telemetry = usage_telemetry(engine.name)

    def settled(account: Account) -> None:
        metrics.settled(account)
        if telemetry is not None:
            telemetry.settled(account)

    runner = JobRunner(
        engine,
        store,
        books,
        registry.id,
        at_once=working.active_requests + working.capacity // 2,
        attempts=settings.attempts,
        on_end=ended,
        on_settled=settled,
    )
    desk = Desk(engine, store, books, runner, registry.id, settings)
    manifest = bundle.manifest
    model = ModelAnswer(
        id=engine.name,
        created=int((bundle.directory / "bundle.toml").stat().st_mtime),
        owned_by="limner",
        limner=ModelFacts(
            size=desk.native.size,
            licence=manifest.licence,
            draws=f"{manifest.draws.people} people",
        ),
    )
    app = FastAPI(
        title="Limner",
        description=_DESCRIPTION,
        version="1",
        redirect_slashes=False,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_lifespan,
        responses={
            status: {"description": text, "model": ErrorAnswer}
            for status, text in _FAILURES.items()
        },
    )
    server = Server(
        app,
        engine,
        database,
        books,
        keys,
        store,
        desk,
        runner,
        registry,
        metrics,
        telemetry,
        settings,
    )
    app.state.server = server
    app.state.context = Context(desk, database, settings, metrics, model)
    for routes in (routes_images, routes_portraits, routes_service, routes_usage):
        app.include_router(routes.router)
    _answer_failures(app)
    _describe_keys(app)
    app.state.url = ""
    if settings.page:
        from serving.page import mount_page

        mount_page(app, api=lambda: str(app.state.url), path=PAGE_PATH)
        app.add_route(
            "/", lambda request: RedirectResponse(PAGE_PATH + "/"), include_in_schema=False
        )
    _watch(server)
    # Added last is outermost.
    app.add_middleware(
        Gatekeeper,
        keys=keys,
        limits=settings.limits,
        apart=_page_path if settings.page else lambda path: False,
        on_refusal=desk.refused_by_rate,
    )
    app.add_middleware(BodyLimit, limits=settings.limits)
    app.add_middleware(Outermost, metrics=metrics)
    return server


def _page_path(path: str) -> bool:
    """Whether a path is the page's, which has a door of its own."""
    return path in ("/", PAGE_PATH) or path.startswith(f"{PAGE_PATH}/")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    await to_thread.run_sync(server.registry.sign_in)
    await to_thread.run_sync(server.books.release_left, server.database)
    chores = [asyncio.create_task(_chores(server)), asyncio.create_task(_load(server))]
    try:
        yield
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await to_thread.run_sync(server.drain)
        await to_thread.run_sync(server.registry.sign_out)
        server.database.close()
        if server.telemetry is not None:
            await to_thread.run_sync(server.telemetry.close)


async def _load(server: Server) -> None:
    """The models, before the first request needs them."""
    try:
        await to_thread.run_sync(server.engine.warm)
        gc.collect()
        gc.freeze()  # a full collection would look through all models, and stop everything
    except Exception:
        log.exception("the models could not be loaded")


async def _chores(server: Server) -> None:
    """Say that we live, take over what the dead have left, forget what has expired."""
    swept = 0.0
    while True:
        try:
            await to_thread.run_sync(server.registry.beat)
            if not server.desk.draining:
                await to_thread.run_sync(server.runner.write_late)
                living = await to_thread.run_sync(server.registry.living)
                taken = await to_thread.run_sync(server.runner.take_over, living)
                if taken:
                    log.info("%d requests taken over from a server that ended", taken)
            if time.monotonic() - swept > SWEEP_SECONDS:
                swept = time.monotonic()
                await to_thread.run_sync(server.store.sweep, time.time())
        except Exception:
            log.exception("the database could not be reached")
        await asyncio.sleep(BEAT_SECONDS)


def _answer_failures(app: FastAPI) -> None:
    """Every failure in OpenAI's shape, those of the framework too."""

    async def ours(request: Request, error: Exception) -> Response:
        answer = translate(error)
        if isinstance(answer, ServerFault | Unavailable) and answer is not error:
            log.error("%s", request.state.request_id, exc_info=error)
        return error_response(answer)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_response(first_problem(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, ApiError):  # from within the reading of a body
            return error_response(error.__cause__)
        if error.status_code == 404:
            return error_response(
                NotFound("unknown_url", f"there is nothing for {request.method} at this address")
            )
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_at(app, request))
            answer = BadRequest(
                "method_not_allowed",
                f"{request.method} is not for this address: {headers['Allow']} is",
                headers=headers,
            )
        else:
            said = f"the request cannot be read: {error.detail}"
            answer = BadRequest("invalid_request", said, headers=headers)
        response = error_response(answer)
        response.status_code = error.status_code
        return response

    for kind in (ApiError, ValueError, *STORAGE_FAULTS):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _methods_at(app: FastAPI, request: Request) -> list[str]:
    """All methods of the address; Starlette names those of its first route only."""
    found = {
        method.upper()
        for path, operations in app.openapi()["paths"].items()
        if compile_path(path)[0].fullmatch(request.url.path)
        for method in operations
    }
    return sorted(found)


def _describe_keys(app: FastAPI) -> None:
    """Say in the OpenAPI document that everything but what is open needs a key."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer", "bearerFormat": "lim_…"}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in ("/healthz", "/readyz") else [{"key": []}]
        return document

    app.openapi = described  # type: ignore[method-assign]


def _watch(server: Server) -> None:
    watch, engine = server.metrics.watch, server.engine
    watch("limner_jobs_waiting", "Jobs accepted, not begun", lambda: server.runner.waiting)
    watch("limner_jobs_running", "Jobs the engine has", lambda: server.runner.running)
    watch("limner_rows", "Pictures in the denoising loop", lambda: engine.occupancy.rows)
    watch(
        "limner_prefix_pool_bytes",
        "Text states remembered",
        lambda: engine.prompts.pool.statistics().size_bytes,
    )
