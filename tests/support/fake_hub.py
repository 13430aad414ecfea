"""A model hub on 127.0.0.1 that takes uploads: the few calls of the Hub's API that publishing needs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from .http_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "hf_" + "Qw7Er9Ty2U" * 3
LARGE = (".safetensors", ".gguf")


@dataclass
class Repository:
    """What lies under one name; the last of ``commits`` is what it holds."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: ["0" * 40])


@dataclass
class FakeHub:
    """``faults`` is asked before each answer: a status, or ``cut``, or None for the right one.

    ``obeys`` is whether it makes private what is to be; ``part`` is the size of a part of an upload in
    several; ``storage`` is the name of the host where files are put.
    """

    url: str = ""
    user: str = "ann"
    orgs: list[str] = field(default_factory=lambda: ["acme"])
    role: str = "write"
    repos: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    faults: Callable[[str, str], int | str | None] = lambda _method, _path: None
    obeys: bool = True
    part: int | None = None
    storage: str = "127.0.0.1"
    told: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def puts(self) -> list[str]:
        """Where files were put, in order."""
        return [path for method, path, _ in self.asked if method == "PUT"]

    def of(self, path: str) -> str:
        """The repository's name in ``/api/models/<owner>/<name>…``."""
        return "/".join(path.split("/")[3:5])


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, message: str = "no", code: str = "") -> None:
        headers = {"X_Error_Code": code} if code else {}
        self._json({"error": message}, status, X_Error_Message=message, **headers)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _handle(self) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        with hub.lock:
            hub.asked.append((self.command, path, self.headers.get("Authorization")))
            fault = hub.faults(self.command, path)
        if fault == "cut":
            self.rfile.read(min(1000, int(self.headers.get("Content-Length") or 0)))
            return self._cut()
        body = self._body()
        if isinstance(fault, int):
            return self._refuse(fault, f"refused\x1b[31m {TOKEN}?")
        if path.startswith(("/put/", "/part/", "/whole/")):
            return self._stored(path, body)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "Invalid credentials in Authorization header")
        with hub.lock:
            self._answer(path, body)
        if fault == "after":
            self._cut()
        return None

    do_GET = do_POST = do_PUT = _handle  # noqa: N815 - the names that the server looks for

    def _stored(self, path: str, body: bytes) -> None:
        """Where files are put: their address is good for one file, and the token has no part in it."""
        hub = self.hub
        kind, oid, *number = path.strip("/").split("/")
        if kind == "whole":
            told = json.loads(body)
            assert told["oid"] == oid
            body = b"".join(hub.parts[oid][part["partNumber"]] for part in told["parts"])
        if kind == "part":
            hub.parts.setdefault(oid, {})[int(number[0])] = body
        else:
            assert hashlib.sha256(body).hexdigest() == oid
            hub.objects[oid] = body
        self._json({}, ETag=f'"{len(body)}"')

    def _answer(self, path: str, body: bytes) -> None:
        hub, name = self.hub, self.hub.of(path)
        repo = hub.repos.get(name)
        if path == "/api/whoami-v2":
            orgs = [{"name": org} for org in hub.orgs]
            self._json(
                {"name": hub.user, "orgs": orgs, "auth": {"accessToken": {"role": hub.role}}} | hub.told
            )
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif repo is None:
            self._refuse(404, "Repository not found", "RepoNotFound")
        elif "/preupload/" in path:
            self._json({"files": [self._mode(repo, each) for each in json.loads(body)["files"]]})
        elif "/commit/" in path:
            self._commit(name, repo, [json.loads(line) for line in body.splitlines()])
        else:
            siblings = [{"rfilename": each} for each in repo.files]
            self._json(
                {"id": name, "sha": repo.commits[-1], "private": repo.private, "siblings": siblings}
                | hub.told
            )

    def _create(self, wanted: dict[str, Any]) -> None:
        owner = wanted.get("organization") or self.hub.user
        name = f"{owner}/{wanted['name']}"
        if owner not in (self.hub.user, *self.hub.orgs):
            self._refuse(403, "You don't have the rights to create a model under this namespace")
        elif name in self.hub.repos:
            self._json({"error": "You already created this model repo", "url": name}, 409)
        else:
            private = wanted.get("private") is True or wanted.get("visibility") == "private"
            self.hub.repos[name] = Repository(private and self.hub.obeys)
            self._json({"url": f"{self.hub.url}/{name}", "name": name})

    def _mode(self, repo: Repository, told: dict[str, Any]) -> dict[str, Any]:
        large = told["path"].endswith(LARGE)
        there = repo.files.get(told["path"])
        oid = None
        if there is not None:
            blob = f"blob {len(there)}\0".encode() + there
            oid = hashlib.sha256(there).hexdigest() if large else hashlib.sha1(blob).hexdigest()  # noqa: S324
        mode = "lfs" if large else "regular"
        return {"path": told["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _batch(self, wanted: dict[str, Any]) -> None:
        hub, place = self.hub, self.hub.url.replace("127.0.0.1", self.hub.storage)
        objects = []
        for each in wanted["objects"]:
            oid, size = each["oid"], each["size"]
            if oid in hub.objects:
                objects.append(each)
                continue
            upload: dict[str, Any] = {"href": f"{place}/put/{oid}?X-Amz-Signature=secret"}
            if hub.part:
                count = -(-size // hub.part)
                header = {
                    str(n): f"{place}/part/{oid}/{n}?X-Amz-Signature=secret" for n in range(1, count + 1)
                }
                upload = {"href": f"{hub.url}/whole/{oid}", "header": {"chunk_size": str(hub.part), **header}}
            objects.append({**each, "actions": {"upload": upload}})
        self._json({"transfer": "multipart" if hub.part else "basic", "objects": objects})

    def _commit(self, name: str, repo: Repository, lines: list[dict[str, Any]]) -> None:
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "deletedFile":
                del repo.files[value["path"]]
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                repo.files[value["path"]] = base64.b64decode(value["content"])
        repo.commits.append(hashlib.sha256(json.dumps(lines).encode()).hexdigest()[:40])
        commit = repo.commits[-1]
        self._json(
            {"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"}
        )


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """One that serves while the block runs."""
    hub = FakeHub()
    with serving(type("_Hub", (_Handler,), {"hub": hub})) as url:
        hub.url = url
        yield hub
