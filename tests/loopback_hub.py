"""A Hub on this machine that offers one folder for reading, as the data set `someone/eyes`."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "a" * 40
NAME = "someone/eyes"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, *args):
        self.folder = folder
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = unquote(urlparse(self.path).path)
        api, files = f"/api/datasets/{NAME}", f"/datasets/{NAME}/resolve/"
        if path.startswith(files):
            self.send_file(self.folder / "/".join(path.removeprefix(files).split("/")[1:]))
        elif path.startswith(f"{api}/tree/"):
            self.send_tree(self.folder / "/".join(path.removeprefix(f"{api}/tree/").split("/")[1:]))
        elif path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            names = [one.relative_to(self.folder).as_posix() for one in self.folder.rglob("*") if one.is_file()]
            self.send_json({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]})
        else:
            self.send_missing("RepoNotFound")

    do_HEAD = do_GET

    def send_tree(self, place: Path):
        if not place.is_dir():
            return self.send_missing("EntryNotFound")
        entries = []
        for one in sorted(place.iterdir()):
            kind = {"type": "file", "size": one.stat().st_size} if one.is_file() else {"type": "directory", "size": 0}
            entries.append({**kind, "path": one.relative_to(self.folder).as_posix(), "oid": "0" * 40})
        return self.send_json(entries)

    def send_file(self, path: Path):
        if not path.is_file():
            return self.send_missing("EntryNotFound")
        content = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if wanted := self.headers.get("Range"):
            start, end = wanted.removeprefix("bytes=").split("-")
            part = content[int(start) : int(end or len(content)) + 1]
            headers["Content-Range"] = f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
            return self.send_content(206, part, headers)
        return self.send_content(200, content, headers)

    def send_missing(self, code: str):
        self.send_content(404, b"{}", {"X-Error-Code": code})

    def send_json(self, value):
        self.send_content(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send_content(self, status: int, content: bytes, headers: dict[str, str]):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def loopback_hub(folder: Path) -> Iterator[str]:
    """Serves the folder meanwhile; gives the address, for `HF_ENDPOINT`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
