"""The HTTP interface and the page of a served model, by FastAPI. Nothing of Ray Serve, which runs it."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

import jinja2
import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi_offline import FastAPIOffline
from markupsafe import Markup
from starlette.exceptions import HTTPException

from ganray.config.problems import EXPECTED
from ganray.errors import ArtifactError, ConfigError, GanrayError
from ganray.generation.record import Record
from ganray.generation.rows import UniqueRows
from ganray.modalities.codec import Codec, Samples, sample_bytes
from ganray.serve.engine import Piece, cut
from ganray.serve.formats import MEDIA_TYPES, answers_of, check_format, encode
from ganray.serve.limits import BodyLimit, RateLimit, error_response
from ganray.serve.metrics import Observations
from ganray.serve.queries import DirectionQuery, InterpolationQuery, SamplesQuery
from ganray.serve.versions import Served, Versions

NUMBER = "the number of a version, like 0001"
MAX_REPEATED = 100  # characters of a wrong value that an error repeats
LOADING_COST = 1000  # samples that the loading of a version counts as
MAX_ANSWER_BYTES = 16 << 20  # of samples in one answer
DESCRIPTION = "Samples of a published generator. Sample i is a function of version, seed, i, class and truncation alone."
UNCHANGING, CHANGING = "public, max-age=31536000, immutable", "no-cache"  # with a version in the URL, and without
POLICY = (  # of what the page may load: nothing from elsewhere
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src 'self' data: blob:; connect-src 'self'; media-src 'self'"
)
AnyQuery = SamplesQuery | InterpolationQuery | DirectionQuery
STATUS = {ConfigError: 400, ArtifactError: 404}  # of errors; others are the server's


@dataclass(frozen=True)
class Service:
    """What the endpoints work with. `sample` gives the samples of a piece; `metrics` gives those of all replicas."""

    versions: Versions
    sample: Callable[[Piece], Awaitable[Samples]]
    metrics: Callable[[], Awaitable[bytes]]
    observed: Observations
    max_num: int
    rate: RateLimit
    follow_s: float

    def limit(self, served: Served) -> int:
        """Return how many samples of a version one answer may have."""
        return max(1, min(self.max_num, MAX_ANSWER_BYTES // sample_bytes(served.engine.generator.codec)))


def create_app(service: Service) -> FastAPI:
    """Return the application: the page at /, samples and facts for programs, and their description at /docs."""
    app = FastAPIOffline(title="ganray", description=DESCRIPTION, redoc_url=None, lifespan=_following(service))
    app.add_middleware(BodyLimit)
    app.add_middleware(Observer, service=service)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(GanrayError, _refused)
    app.add_exception_handler(HTTPException, _no_endpoint)
    page = _page()

    @app.get("/", response_class=HTMLResponse, summary="The page")
    async def show_page(version: Annotated[str | None, Query(pattern=r"^[0-9]{4,12}$")] = None) -> HTMLResponse:
        served, nonce, best = await service.versions.find(version), secrets.token_urlsafe(16), service.versions.current.record.version
        codec = served.engine.generator.codec
        saved_as = next(iter(answers_of(codec.kind)))
        content = page.render(facts=served.facts, saved_as=saved_as, limit=service.limit(served), best=best, nonce=nonce)
        return HTMLResponse(content, headers={"Content-Security-Policy": POLICY.format(nonce=nonce), "Cache-Control": CHANGING})

    _add_files(app, service)

    @app.get("/model", summary="The version: scores and their protocol, classes, directions, model card, limits")
    async def get_model(version: Annotated[str | None, Query(pattern=r"^[0-9]{4,12}$")] = None) -> dict[str, Any]:
        served = await service.versions.find(version)
        return {**served.facts, "best": service.versions.current.record.version, "limits": {"num": service.limit(served)}}

    @app.get("/healthz", summary="Whether samples can be had")
    async def get_health() -> dict[str, Any]:
        return {"status": "ok", "version": service.versions.current.record.version, "problem": service.versions.problem}

    @app.get("/metrics", response_class=Response, summary="Metrics in Prometheus' text format")
    async def get_metrics() -> Response:
        return Response(await service.metrics(), media_type="text/plain; version=0.0.4")

    return app


def _add_files(app: FastAPI, service: Service) -> None:
    """Add the endpoints whose answers are files of samples."""

    @app.get("/samples", response_class=Response, responses=FILES, summary="Samples of a seed")
    async def get_samples(query: Annotated[SamplesQuery, Query()], request: Request) -> Response:
        return await _answer(service, query, request)

    @app.get("/interpolation", response_class=Response, responses=FILES, summary="The way between two samples")
    async def get_interpolation(query: Annotated[InterpolationQuery, Query()], request: Request) -> Response:
        return await _answer(service, query, request)

    @app.get("/direction", response_class=Response, responses=FILES, summary="A sample moved along a published direction of latents")
    async def get_direction(query: Annotated[DirectionQuery, Query()], request: Request) -> Response:
        return await _answer(service, query, request)


FILES: dict[int | str, dict[str, Any]] = {200: {"content": {media: {} for media in MEDIA_TYPES.values()}, "description": "the samples"}}


async def _answer(service: Service, query: AnyQuery, request: Request) -> Response:
    """Return the file that a query asks for, or why it cannot be had."""
    cost = query.num + (0 if service.versions.is_loaded(query.version) else LOADING_COST)
    wait_s = service.rate.wait_s(request.client.host if request.client else "", cost)
    if wait_s:
        problem = f"too many samples in a short time: {query.num} more in {wait_s:.1f} s"
        return error_response(429, "num", problem, "wait, or ask for fewer", retry_after_s=wait_s)
    served = await service.versions.find(query.version)
    if query.num > (limit := service.limit(served)):
        raise ConfigError("num", f"expected at most {limit}, got {query.num}", "ask several times, with other values of start")
    check_format(query.format, served.engine.generator.codec)
    label = query.number_of_class(served.engine)
    inputs, asked = query.inputs(served, label)
    parts = await asyncio.gather(*(service.sample(piece) for piece in cut(served.engine, inputs)))
    service.observed.samples.append((str(served.record.version), query.num))
    codec = served.engine.generator.codec
    record = numbered(query.record(served.record, label), codec)
    data = await asyncio.to_thread(encode, np.concatenate(parts)[asked], query.format, record, codec)
    return Response(data, media_type=MEDIA_TYPES[query.format], headers=_headers(served, query))


def numbered(record: Record, codec: Codec) -> Record:
    """Return a record that names the first sample where `generate` would leave out rows: an answer has all, by their numbers."""
    return record.model_copy(update={"index": record.index or 0}) if UniqueRows.of(codec) else record


def _headers(served: Served, query: AnyQuery) -> dict[str, str]:
    """Return the headers of a file: its name, how long it may be kept, and which version it is of."""
    model, version = (re.sub(r"[^A-Za-z0-9._-]", "_", str(name)) for name in (served.record.model, served.record.version))
    disposition = "attachment" if query.download else "inline"
    return {
        "Content-Disposition": f'{disposition}; filename="{model}-{version}-{query.name}.{query.format}"',
        "Cache-Control": UNCHANGING if query.version else CHANGING,
        "X-Ganray-Model": model,
        "X-Ganray-Version": version,
        "X-Ganray-Manifest": served.manifest.hash,
    }


def _page() -> jinja2.Template:
    """Return the template of the page, with its script."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template, script = (files(__package__).joinpath(name).read_text() for name in ("page.html.j2", "page.js"))
    environment.globals["script"] = Markup(script)
    return environment.from_string(template)


def _following(service: Service) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    """Return the lifespan of the application, during which it follows the best alias."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(service.versions.follow(service.follow_s))
        yield
        following.cancel()

    return lifespan


class Observer:
    """ASGI middleware that notes endpoint, status and duration of each request."""

    def __init__(self, app: Any, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = scope.get("route")
            endpoint = getattr(route, "path", "other")
            self._service.observed.requests.append((endpoint, status, time.perf_counter() - began))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Return the first mistake in a request's parameters."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = str(first["loc"][-1])[:MAX_REPEATED]
    if first["type"] == "extra_forbidden":
        return error_response(400, field, "there is no such parameter", "see /docs for those that there are")
    if first["type"] == "value_error":
        return error_response(400, field, str(first["ctx"]["error"]), "see /docs")
    expected = NUMBER if field == "version" else EXPECTED.get(first["type"], "another value").format(**first.get("ctx", {}))
    return error_response(400, field, f"expected {expected}, got {repr(first['input'])[:MAX_REPEATED]}", "see /docs")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Return an error of ganray: the client's, or of a storage that cannot be read now."""
    assert isinstance(error, GanrayError)
    return error_response(STATUS.get(type(error), 503), error.field, error.problem, error.remedy)


async def _no_endpoint(_: Request, error: Exception) -> JSONResponse:
    """Return an error of routing: no such path, or another method."""
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, "request", str(error.detail).lower(), "see /docs")
