"""A stand-in of the Hugging Face hub: the part of its HTTP interface that a client needs to commit and to download."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "secretsecret"
LFS = 64 * 1024
"""Files over this size go by the large file storage."""


class Hub:
    """Repositories by name, each with its revisions; and what was asked for."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.heads: dict[str, str] = {}
        self.tokens: list[str] = []
        self.address = ""

    def commit(self, name: str, changes: dict[str, bytes]) -> str:
        """Add files on top of the newest revision, and return the new one."""
        files = dict(self.repositories.setdefault(name, {}).get(self.heads.get(name, ""), {})) | changes
        text = json.dumps({key: hashlib.sha256(data).hexdigest() for key, data in sorted(files.items())})
        revision = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.repositories[name][revision] = files
        self.heads[name] = revision
        return revision

    def files(self, name: str, revision: str) -> dict[str, bytes] | None:
        """Return the files of a revision, or of ``main``."""
        revisions = self.repositories.get(name, {})
        return revisions.get(self.heads.get(name, "") if revision == "main" else revision)


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def answer(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send bytes or JSON."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        """Return what was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        """Repositories, commits, and where large files go."""
        hub, sent = self.hub, self.body()
        self.hub.tokens.append(self.headers.get("Authorization") or "")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            given = json.loads(sent)
            name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
            hub.repositories.setdefault(name, {})
            return self.answer({"url": f"{hub.address}/{name}", "id": name, "name": name})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/(.+)/preupload/.*", self.path):
            files = json.loads(sent)["files"]
            modes = [
                {"path": one["path"], "uploadMode": "lfs" if one["size"] > LFS else "regular", "shouldIgnore": False}
                for one in files
            ]
            return self.answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{hub.address}/upload/{one['oid']}"}}}
                for one in json.loads(sent)["objects"]
            ]
            return self.answer({"objects": objects, "transfer": "basic"})
        if found := re.fullmatch(r"/api/models/(.+)/commit/.*", self.path):
            changes = {}
            for line in sent.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    changes[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    changes[value["path"]] = hub.blobs[value["oid"]]
            revision = hub.commit(found[1], changes)
            page = f"{hub.address}/{found[1]}/commit/{revision}"
            return self.answer({"success": True, "commitOid": revision, "commitUrl": page})
        return self.answer({"error": "not found"}, 404)

    def do_PUT(self) -> None:
        """Take a large file."""
        data = self.body()
        self.hub.blobs[hashlib.sha256(data).hexdigest()] = data
        self.answer({})

    def do_HEAD(self) -> None:
        """Facts about a file."""
        self.do_GET()

    def do_GET(self) -> None:
        """Facts about a repository, and files."""
        hub, path = self.hub, self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/(.+?)/(?:revision|tree)/([^/]+)", path):
            files = hub.files(found[1], found[2])
            if files is None:
                return self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            if "/tree/" in path:
                return self.answer(
                    [
                        {"type": "file", "path": name, "size": len(data), "oid": digest(data)}
                        for name, data in files.items()
                    ]
                )
            revision = hub.heads[found[1]] if found[2] == "main" else found[2]
            return self.answer({"id": found[1], "sha": revision, "siblings": [{"rfilename": name} for name in files]})
        if found := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            files = hub.files(found[1], found[2])
            if files is None or found[3] not in files:
                return self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            data = files[found[3]]
            revision = hub.heads[found[1]] if found[2] == "main" else found[2]
            return self.answer(data, headers={"ETag": f'"{digest(data)}"', "X-Repo-Commit": revision})
        return self.answer({"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})


def digest(data: bytes) -> str:
    """Return the name of a file's content."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@contextmanager
def running() -> Iterator[Hub]:
    """Run a hub of its own on a free port."""
    hub = Hub()
    handler = type("OwnHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
