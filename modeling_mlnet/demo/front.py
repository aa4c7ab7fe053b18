"""What stands between the web and gradio: no addresses fetched for others, and a preview of links to the page."""

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any

TITLE = "Where do people look?"
DESCRIPTION = "Choose a picture and see where ML-Net predicts that people look first."
REFUSED = b"Only files of this page are given out, no addresses fetched."
OTHERS_PREVIEW = re.compile(rb"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


class Front:
    """ASGI middleware around gradio's app.

    - gradio gives `file=https://...` out to anybody, fetching it for them: refused with 403.
    - Its page calls itself "Gradio" where a link to it is previewed: replaced by the page's own title and description.

    Args:
        app: gradio's.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif asks_for_address(scope["path"]):
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(REFUSED)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSED})
        elif scope["path"] in ("", "/"):
            await self.app(scope, receive, _Previewed(send))
        else:
            await self.app(scope, receive, send)


def asks_for_address(path: str) -> bool:
    """Whether a request's path asks the server to fetch something from elsewhere."""
    return re.match(r"\s*https?:", path.partition("/file=")[2], re.IGNORECASE) is not None


class _Previewed:
    """Sends the page with its own preview instead of gradio's."""

    def __init__(self, send: Any):
        self.send, self.body = send, b""
        self.start: dict[str, Any] = {}

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        headers = [(name, value) for name, value in self.start["headers"] if name.lower() != b"content-length"]
        if any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers):
            self.body = with_preview(self.body)
        headers.append((b"content-length", str(len(self.body)).encode()))
        await self.send({**self.start, "headers": headers})
        await self.send({"type": "http.response.body", "body": self.body})


def with_preview(page: bytes) -> bytes:
    """A page with our title and description for previews of links."""
    values = {"og:type": "website", "og:title": TITLE, "og:description": DESCRIPTION, "twitter:card": "summary"}
    tags = "".join(f'<meta property="{name}" content="{html.escape(value)}">' for name, value in values.items())
    tags += f'<meta name="description" content="{html.escape(DESCRIPTION)}"><title>{html.escape(TITLE)}</title>'
    return OTHERS_PREVIEW.sub(b"", page).replace(b"</head>", tags.encode() + b"</head>", 1)
