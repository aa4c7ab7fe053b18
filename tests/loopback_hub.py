"""A Hub on this machine: repositories are folders, and everything that huggingface_hub asks for is answered.

Answers may be spoilt: `hub.spoil("model.safetensors", Cut(1000))` cuts the next download of that file.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

NAME = "someone/eyes"
KINDS = ("datasets", "models", "spaces")
LARGE = (".safetensors", ".parquet", ".png", ".jpg")


@dataclass
class Spoilt:
    """What happens to the next `times` requests whose path ends with a name: a status, or an end after some bytes."""

    status: int | None = None
    cut: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass
class Hub:
    """Repositories by `kind/owner/name` with the folder of each commit, what was asked, and what is to be spoilt."""

    root: Path
    address: str = ""
    heads: dict[str, dict[str, str]] = field(default_factory=dict)  # repository -> branch -> commit
    requests: list[str] = field(default_factory=list)
    spoilt: dict[str, Spoilt] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # LFS content by sha256
    private: set[str] = field(default_factory=set)

    def add(self, folder: Path, name: str = NAME, kind: str = "models", branch: str = "main") -> str:
        """Offers a folder's files as a commit; gives its name."""
        files = {
            item.relative_to(folder).as_posix(): item.read_bytes() for item in folder.rglob("*") if item.is_file()
        }
        return self.commit(f"{kind}/{name}", branch, files)

    def commit(self, repository: str, branch: str, changed: dict[str, bytes]) -> str:
        """Writes the files of the branch's last commit and the changed ones into a new one."""
        branches = self.heads.setdefault(repository, {})
        files = {**self.files(repository, branches.get(branch, branches.get("main", ""))), **changed}
        content = b"".join(name.encode() + hashlib.sha1(data).digest() for name, data in sorted(files.items()))
        commit = hashlib.sha1(repository.encode() + branch.encode() + content).hexdigest()
        for name, data in files.items():
            path = self.root / repository / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (self.root / repository / commit).mkdir(parents=True, exist_ok=True)
        branches[branch] = commit
        return commit

    def files(self, repository: str, commit: str) -> dict[str, bytes]:
        """Content of a commit by name."""
        folder = self.root / repository / commit
        if not commit or not folder.is_dir():
            return {}
        return {item.relative_to(folder).as_posix(): item.read_bytes() for item in folder.rglob("*") if item.is_file()}

    def environment(self) -> dict[str, str]:
        """Variables of a process that asks this Hub."""
        home = str(self.root / "home")
        return {"HF_ENDPOINT": self.address, "HF_TOKEN": "hf_nobody", "HF_HUB_DISABLE_XET": "1", "HF_HOME": home}

    def spoil(self, name: str, how: Spoilt) -> None:
        """Lets the next answers go wrong whose path ends with the name."""
        self.spoilt[name] = how


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args):
        pass

    def answer(self):
        path = unquote(urlparse(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.cut = None
        for name, how in self.hub.spoilt.items():
            if path.endswith(name) and how.times and (how.cut is None or self.command == "GET"):
                how.times -= 1
                self.cut = how.cut
                if how.status is not None:
                    return self.send_content(how.status, b"{}", how.headers)
        parts = path.strip("/").split("/")
        if parts[0] == "lfs":
            return self.put_lfs(parts[1])
        if parts[0] == "api":
            return self.api(parts[1:])
        if path.endswith("/info/lfs/objects/batch"):
            return self.lfs_batch()
        kind = parts.pop(0) if parts[0] in KINDS else "models"
        if len(parts) > 4 and parts[2] == "resolve":
            return self.send_file(f"{kind}/{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:]))
        return self.send_missing("RepoNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def api(self, parts: list[str]):
        if parts == ["validate-yaml"]:
            return self.send_json({"errors": [], "warnings": []})
        if parts[:2] == ["repos", "create"]:
            return self.create()
        if parts[0] == "whoami-v2":
            return self.send_json({"name": "someone", "type": "user"})
        repository = "/".join(parts[:3])
        if repository not in self.hub.heads:
            return self.send_missing("RepoNotFound")
        action, rest = (parts[3], parts[4:]) if len(parts) > 3 else ("revision", ["main"])
        branches = self.hub.heads[repository]
        if action == "branch":
            branches.setdefault(rest[0], branches["main"])
            return self.send_json({})
        if action == "preupload":
            names = [item["path"] for item in json.loads(self.body)["files"]]
            modes = {name: "lfs" if name.endswith(LARGE) else "regular" for name in names}
            return self.send_json(
                {"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]}
            )
        if action == "commit":
            return self.commit(repository, rest[0])
        commit = self.find(repository, rest[0])
        if commit is None:
            return self.send_missing("RevisionNotFound")
        files = self.hub.files(repository, commit)
        if action == "tree":
            return self.send_tree(files, "/".join(rest[1:]))
        siblings = [{"rfilename": name} for name in sorted(files)]
        return self.send_json({"id": "/".join(parts[1:3]), "sha": commit, "siblings": siblings, "private": False})

    def find(self, repository: str, revision: str) -> str | None:
        commit = self.hub.heads[repository].get(revision, revision)
        return commit if (self.hub.root / repository / commit).is_dir() else None

    def create(self):
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or "someone"
        name = wanted["name"].split("/")[-1]
        repository = f"{wanted.get('type', 'model')}s/{owner}/{name}"
        if repository in self.hub.heads:
            return self.send_content(409, json.dumps({"url": f"{self.hub.address}/{owner}/{name}"}).encode(), {})
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(repository)
        self.hub.commit(repository, "main", {})
        return self.send_json({"url": f"{self.hub.address}/{owner}/{name}", "name": f"{owner}/{name}"})

    def lfs_batch(self):
        objects = json.loads(self.body)["objects"]
        upload = [
            {**item, "actions": {"upload": {"href": f"{self.hub.address}/lfs/{item['oid']}", "header": {}}}}
            for item in objects
        ]
        self.send_json({"transfer": "basic", "objects": upload})

    def put_lfs(self, oid: str):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.stored[oid] = self.body
        self.send_json({})

    def commit(self, repository: str, branch: str):
        changed = {}
        for line in self.body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                changed[value["path"]] = self.hub.stored[value["oid"]]
        commit = self.hub.commit(repository, branch, changed)
        address = f"{self.hub.address}/{repository.partition('/')[2]}/commit/{commit}"
        self.send_json({"commitOid": commit, "commitUrl": address, "success": True})

    def send_tree(self, files: dict[str, bytes], below: str):
        start = f"{below}/" if below else ""
        everything = "recursive=true" in self.path.lower()
        entries: dict[str, Any] = {}
        for name, data in sorted(files.items()):
            if not name.startswith(start):
                continue
            first, deeper, _ = name.removeprefix(start).partition("/")
            if deeper and not everything:
                entries[start + first] = {"type": "directory", "size": 0}
            else:
                entries[name] = {"type": "file", "size": len(data)}
        if below and not entries:
            return self.send_missing("EntryNotFound")
        return self.send_json([{**item, "path": name, "oid": "0" * 40} for name, item in entries.items()])

    def send_file(self, repository: str, revision: str, name: str):
        if repository not in self.hub.heads:
            return self.send_missing("RepoNotFound")
        commit = self.find(repository, revision)
        if commit is None:
            return self.send_missing("RevisionNotFound")
        path = self.hub.root / repository / commit / name
        if not path.is_file():
            return self.send_missing("EntryNotFound", {"X-Repo-Commit": commit})
        content = path.read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        if wanted := self.headers.get("Range"):
            start, end = wanted.removeprefix("bytes=").split("-")
            part = content[int(start) : int(end or len(content)) + 1]
            headers["Content-Range"] = f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
            return self.send_content(206, part, headers)
        return self.send_content(200, content, headers)

    def send_missing(self, code: str, headers: dict[str, str] | None = None):
        self.send_content(404, b"{}", {"X-Error-Code": code, **(headers or {})})

    def send_json(self, value):
        self.send_content(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send_content(self, status: int, content: bytes, headers: dict[str, str]):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if self.cut is None else content[: self.cut])
            self.close_connection = self.close_connection or self.cut is not None


@contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """An empty Hub meanwhile; its `address` is for `HF_ENDPOINT`."""
    hub = Hub(root)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("OurHandler", (Handler,), {"hub": hub})) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()
