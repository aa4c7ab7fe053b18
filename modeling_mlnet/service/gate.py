"""Checks of every request before it is read (token, size, a place in the queue), and its line in the log."""

import asyncio
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import LOGGER
from .monitoring import Metrics
from .requests import MAX_BODY
from .work_queue import Deadline, WorkQueue

WORK = "/v1/"  # paths that need a place in the queue
PAGES = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/metrics")
OPEN = PAGES[:-1]  # without a token
REQUEST_ID = re.compile(r"[\w.:-]{1,80}", re.ASCII)
LEFT = 499  # in logs and metrics: the client closed the connection before the answer


class Gate:
    """ASGI middleware around the service.

    Args:
        app: The service.
        queue: Queue of the work.
        metrics: Counters of requests.
        token: Token of `Settings`.
        paths: Known paths, for metrics and logs; other paths are arbitrary text.
    """

    def __init__(
        self,
        app: ASGIApp,
        queue: WorkQueue,
        metrics: Metrics,
        token: str | None,
        paths: Iterable[str],
    ):
        self.app, self.queue, self.metrics, self.paths = app, queue, metrics, frozenset(paths)
        self._expected = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 0
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        given = headers.get("x-request-id", b"").decode("latin-1")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["state"] = state = {**scope.get("state", {}), "details": {}}

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        try:
            await self._admit(scope, headers, receive, answer)
        except (ClientDisconnect, ConnectionError):
            status = LEFT
        except Exception as error:
            refusal = error if isinstance(error, HTTPException) else HTTPException(500, "this went wrong on our side")
            if refusal is not error:
                LOGGER.error("an unexpected error", exc_info=error, extra={"details": {"request_id": request_id}})
            if not status:
                with suppress(OSError):
                    await refuse(refusal)(scope, receive, answer)
        finally:
            seconds = time.monotonic() - started
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.metrics.requests.labels(path, status).inc()
            self.metrics.request_seconds.labels(path).observe(seconds)
            details = {"request_id": request_id, "method": scope["method"], "path": path, "status": status}
            details |= {"seconds": round(seconds, 4), **state["details"]}
            level = logging.DEBUG if path in PAGES and status < 400 else logging.INFO  # probes come all the time
            LOGGER.log(level, "request", extra={"details": details})

    async def _admit(self, scope: Scope, headers: dict[str, bytes], receive: Receive, send: Send) -> None:
        """Passes a request on, if it may be."""
        path, is_work = scope["path"], scope["path"].startswith(WORK) and scope["method"] == "POST"
        if self._expected is not None and path not in OPEN and scope["method"] != "OPTIONS":
            given = headers.get("authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                challenge = {"WWW-Authenticate": "Bearer"}
                raise HTTPException(401, "send the token as Authorization: Bearer TOKEN", challenge)
        length = headers.get("content-length", b"").decode("latin-1")
        size = int(length) if length.isdecimal() else MAX_BODY  # sent in chunks, it may have any
        if size > MAX_BODY:
            raise _too_large()
        if not is_work:
            await self.app(scope, receive, send)
            return
        with self.queue.place(size) as deadline, self.metrics.places.track_inprogress():
            scope["state"]["deadline"] = deadline
            await self.app(scope, _Bounded(receive, deadline), send)


class _Bounded:
    """Receives a body that is neither too long nor too slow."""

    def __init__(self, receive: Receive, deadline: Deadline):
        self.receive, self.deadline, self.size, self.is_whole = receive, deadline, 0, False

    async def __call__(self) -> Message:
        if self.is_whole:
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.deadline.left())
        except TimeoutError:
            raise HTTPException(408, "the request did not arrive in time") from None
        self.size += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self.size > MAX_BODY:
            raise _too_large()
        return message


def refuse(error: HTTPException) -> JSONResponse:
    """An error as an answer: `{"detail": "..."}`, one line."""
    return JSONResponse({"detail": " ".join(str(error.detail).split())}, error.status_code, error.headers)


def _too_large() -> HTTPException:
    return HTTPException(413, f"a request may have up to {MAX_BODY // 2**20} MB")
