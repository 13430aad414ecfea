"""The trainer of a TypeScript project: built by the project's own CLI, read by Node in a child.

The bundle is the project's code, so it is never loaded here. ``arkor build`` runs each time because only it
knows what belongs to the project; loading the bundle, the slower half, is skipped while its bytes stay the
same. The export may be ``arkor`` (a manifest), ``trainer``, or a default that is or holds either.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
from typing import TYPE_CHECKING, Final

from .child_output import run_child
from .errors import StudioError
from .regular_files import MIB, read_small

if TYPE_CHECKING:
    from pathlib import Path

    from .contract import Manifest

ENTRY: Final = "src/arkor/index.ts"
BUNDLE: Final = ".arkor/build/index.mjs"
BUILD_TIMEOUT: Final = 60.0
LOAD_TIMEOUT: Final = 30.0
SHOWN_CHARACTERS: Final = 4000
BUNDLE_LIMIT: Final = 64 * MIB

# The answer stands behind a mark made for this call, because the project's code may print as well.
_READ_NAME: Final = r"""
const [, url, mark] = process.argv;
const bundle = await import(url);
const isTrainer = (it) => it !== null && typeof it === "object"
  && ["start", "wait", "cancel"].every((method) => typeof it[method] === "function");
const candidates = [bundle.arkor, bundle.arkor?.trainer, bundle.trainer,
  bundle.default, bundle.default?.trainer];
const trainer = candidates.find(isTrainer);
const tidy = (name) => Buffer.from([...name].slice(0, 200).join("")).toString();
const name = trainer ? (typeof trainer.name === "string" ? tidy(trainer.name) : "(unnamed trainer)") : null;
const json = JSON.stringify(name).replace(/[^ -~]/g,
  (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
process.stdout.write(`\n${mark}${json}\n`, () => process.exit(0));
"""


def is_typescript(project: Path) -> bool:
    """Whether the folder looks like a project of the ``arkor`` CLI: its entry file, or its CLI."""
    if (project / ENTRY).is_file() or _own_cli(project):
        return True
    try:
        package = json.loads(read_small(project / "package.json"))
        return any("arkor" in package.get(kind, {}) for kind in ("dependencies", "devDependencies"))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return False


def find_cli(project: Path) -> str | None:
    """The ``arkor`` command: the project's own, else the one on PATH."""
    return _own_cli(project) or shutil.which("arkor")


class TypeScriptManifest:
    """One project's manifest, for any number of readers at once."""

    def __init__(self, project: Path) -> None:
        self._project = project.absolute()
        self._lock = asyncio.Lock()
        self._began = -1.0
        self._latest: Manifest | StudioError | None = None
        self._loaded: tuple[str, str | None] | None = None

    async def read(self) -> Manifest:
        """Build the project and name its trainer. Raises StudioError 400 with the tool's own words."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self._lock:
            # A build that began after we asked has seen all that we could have seen.
            if self._latest is None or self._began < asked:
                began = loop.time()
                try:
                    self._latest = await self._build()
                except StudioError as fault:
                    self._latest = fault
                self._began = began
            if isinstance(self._latest, StudioError):
                raise StudioError(self._latest.status, self._latest.text)
            return self._latest

    async def _build(self) -> Manifest:
        cli = find_cli(self._project)
        if cli is None:
            raise StudioError(
                400,
                "The arkor CLI is not installed, so this TypeScript project cannot be built. Run "
                "`npm install` in the project, or `npm install arkor` if it does not depend on it yet.",
            )
        await self._run([cli, "build"], BUILD_TIMEOUT, "`arkor build` failed")
        bundle = self._project / BUNDLE
        try:
            content = await asyncio.to_thread(read_small, bundle, BUNDLE_LIMIT)
        except OSError as fault:
            raise StudioError(
                400,
                f"`arkor build` ended well but {BUNDLE} cannot be read ({fault.strerror}). Run it by hand.",
            ) from None
        digest = hashlib.sha256(content).hexdigest()
        if self._loaded is None or self._loaded[0] != digest:
            self._loaded = (digest, await self._load(bundle))
        name = self._loaded[1]
        return {
            "trainer": None if name is None else {"name": name},
            "trainers": [] if name is None else [{"name": name}],
            "source": "typescript",
        }

    async def _load(self, bundle: Path) -> str | None:
        node = shutil.which("node")
        if node is None:
            raise StudioError(400, "Node.js is not on PATH, so the project cannot be loaded. Install it.")
        mark = secrets.token_hex(16)
        argv = [node, "--input-type=module", "-e", _READ_NAME, bundle.as_uri(), mark]
        output = await self._run(argv, LOAD_TIMEOUT, "The built project fails when it is loaded")
        _, found, answer = output.rpartition(mark)
        if not found:
            raise StudioError(
                400, f"The built project ends Node before its trainer can be read.{_quoted(output)}"
            )
        name: str | None = json.JSONDecoder().raw_decode(answer)[0]
        return name

    async def _run(self, argv: list[str], seconds: float, failed: str) -> str:
        try:
            output = await run_child(argv, self._project, seconds)
        except OSError as fault:
            raise StudioError(400, f"{argv[0]} cannot be started ({fault}).") from None
        if output.code is None:
            raise StudioError(400, f"{failed}: it took more than {seconds:g} s.{_quoted(output.text)}")
        if output.code != 0:
            raise StudioError(400, f"{failed} (exit code {output.code}).{_quoted(output.text)}")
        return output.text


def _own_cli(project: Path) -> str | None:
    return shutil.which("arkor", path=str(project / "node_modules" / ".bin"))


def _quoted(output: str) -> str:
    if len(output) > SHOWN_CHARACTERS:
        output = "…" + output[-SHOWN_CHARACTERS:]
    return f"\n{output}" if output else ""
