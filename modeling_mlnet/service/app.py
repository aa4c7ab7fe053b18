"""The service as an ASGI application."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from ..inference.uploads import KINDS, MAX_BYTES, MAX_PIXELS, TooLargeError
from ..io.json_types import JsonObject
from .answers import NPY, PNG, Answers
from .gate import PAGES, Gate, refuse
from .logs import configure_logging
from .monitoring import Metrics
from .page import docs_page
from .requests import (
    FORM,
    JSON,
    AnyRequest,
    CompareRequest,
    CropRequest,
    PredictRequest,
    RegionsRequest,
    choose_kind,
    read_body,
)
from .settings import Settings
from .work_queue import Deadline, WorkQueue

DESCRIPTION = (
    "Predicts where people look in images. Send images as a form or, in base64, as JSON; addresses are not fetched, "
    f"and nothing is kept. {KINDS}, up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels. "
    'An error is {"detail": "..."}, one line.'
)
STATUSES = {
    400: "The body cannot be read.",
    401: "The token is missing or wrong.",
    406: "The kind of answer asked for is not made here.",
    408: "The request did not arrive in time.",
    413: "An image or the request is too large.",
    415: "The body is neither a form nor JSON.",
    422: "A field or an image is wrong.",
    429: "Too many are waiting; Retry-After says for how long.",
    504: "The answer was not ready in time.",
}
SECURE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Endpoint(NamedTuple):
    """A way to ask.

    Args:
        path: Below the service's address.
        request: Model of the request.
        answer: The method of `Answers`.
        kinds: Media types of the answer, the preferred one first.
        text: Description of the endpoint.
    """

    path: str
    request: type[AnyRequest]
    answer: Callable[..., bytes]
    kinds: Sequence[str]
    text: str


ENDPOINTS = (
    Endpoint(
        "/v1/predict",
        PredictRequest,
        Answers.predict,
        (JSON, PNG, NPY),
        "The saliency map of an image. As JSON with its focus, its strongest spots and the map as PNG in base64, as "
        "PNG, or as npy, float32 (height, width) in 0..1.",
    ),
    Endpoint(
        "/v1/regions",
        RegionsRequest,
        Answers.regions,
        (JSON, PNG),
        "How much of the predicted attention each box holds, how focused the image is, and its strongest spots.",
    ),
    Endpoint(
        "/v1/compare",
        CompareRequest,
        Answers.compare,
        (JSON, PNG),
        "Two designs, box by box. Boxes are matched by name; without second_boxes the same places are measured, "
        "without any the nine ninths of the image.",
    ),
    Endpoint(
        "/v1/crop",
        CropRequest,
        Answers.crop,
        (JSON, PNG),
        "The windows of other shapes that keep most of the predicted attention.",
    ),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, with the model loaded; `uvicorn --factory modeling_mlnet.service:create_app` calls it.

    Args:
        settings: Default: those of the environment.

    Raises:
        ValueError: If a setting is wrong or the model cannot be loaded.
    """
    settings = settings or Settings.from_environment()
    configure_logging()
    answers, metrics = Answers(settings.model), Metrics()
    queue = WorkQueue(settings.threads, settings.queue, settings.timeout)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()
        metrics.close()

    paths = [*PAGES, *(endpoint.path for endpoint in ENDPOINTS)]
    middleware = [Middleware(Gate, queue=queue, metrics=metrics, token=settings.token, paths=paths)]
    if settings.cors:
        origins = [origin.strip() for origin in settings.cors.split(",")]
        cors = Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["Authorization"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
        middleware.insert(0, cors)
    app = FastAPI(
        title="mlnet-saliency",
        description=DESCRIPTION,
        version=version("mlnet-saliency"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=middleware,
        exception_handlers={HTTPException: _on_refusal},
    )
    for endpoint in ENDPOINTS:
        _add_endpoint(app, endpoint, answers, queue, metrics)
    _add_pages(app, queue, metrics)
    return app


async def _on_refusal(_: Request, error: Any) -> Response:
    return refuse(error)


def _add_endpoint(app: FastAPI, endpoint: Endpoint, answers: Answers, queue: WorkQueue, metrics: Metrics) -> None:
    async def handle(request: Request) -> Response:
        deadline: Deadline = request.state.deadline
        kind = choose_kind(request.headers.get("accept", ""), endpoint.kinds)
        body = await read_body(request)

        def work() -> bytes:
            started = time.monotonic()
            try:
                return endpoint.answer(answers, body.parse(endpoint.request), kind, deadline)
            finally:
                seconds = time.monotonic() - started
                metrics.work_seconds.labels(endpoint.path).observe(seconds)
                request.state.details["work_seconds"] = round(seconds, 4)

        try:
            content = await queue.run(work, deadline, request.is_disconnected)
        except TimeoutError:
            raise HTTPException(504, f"the answer was not ready within {queue.timeout:g} s") from None
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return Response(content, media_type=kind, headers={"Vary": "Accept"})

    schema = endpoint.request.model_json_schema()
    responses: dict[int | str, JsonObject] = {code: {"description": text} for code, text in STATUSES.items()}
    responses[200] = {"description": "The answer.", "content": {kind: {} for kind in endpoint.kinds}}
    app.add_api_route(
        endpoint.path,
        handle,
        methods=["POST"],
        summary=endpoint.text.partition(".")[0],
        description=endpoint.text,
        operation_id=endpoint.path.rpartition("/")[2],
        response_class=Response,
        responses=dict(sorted(responses.items())),
        openapi_extra={"requestBody": {"required": True, "content": {FORM: _form(schema), JSON: {"schema": schema}}}},
    )


def _form(schema: JsonObject) -> JsonObject:
    """The schema of JSON as that of a form: images are files, and what may be repeated is not one JSON text."""
    file = {"type": "string", "format": "binary", "description": "An image file."}
    fields = {name: file if "contentEncoding" in value else value for name, value in schema["properties"].items()}
    repeated = {name: {"style": "form", "explode": True} for name, value in fields.items() if "items" in value}
    return {"schema": {**schema, "properties": fields}, "encoding": repeated}


def _add_pages(app: FastAPI, queue: WorkQueue, metrics: Metrics) -> None:
    @app.get("/healthz", summary="Whether the process lives.")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether there is a place in the queue; 503 if not.")
    async def readyz() -> JSONResponse:
        values = {"status": "full" if queue.is_full else "ok", "requests": queue.admitted, "limit": queue.limit}
        return JSONResponse(values, 503 if queue.is_full else 200)

    @app.get("/metrics", summary="Figures for Prometheus.", response_class=PlainTextResponse)
    async def figures() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url).rstrip("/")), headers=SECURE)
