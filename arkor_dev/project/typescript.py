"""A TypeScript project: built by its own CLI, its trainer's name read by Node in a child process.

The bundle is the project's code, so it is never loaded here. ``arkor build`` always runs before a start,
because only it knows what belongs to the project. To display the project, the page gets the latest build as
long as the sources look unchanged. Loading the bundle, the slower half, is skipped while its bytes are the
same. The export may be ``arkor`` (what ``createArkor`` returns), ``trainer``, or a default with either.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError, BadRequestError, ConflictError
from arkor_dev.contract.regular_files import MIB, read_small
from arkor_dev.core.plain_text import plain
from arkor_dev.processes.run_child import run_child

from .build_errors import build_fault, load_fault
from .node_tools import ENTRY, find_cli, no_node, not_installed, repository_of, satisfies, wanted_node
from .project_turn import ProjectTurn
from .source_state import source_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.shapes import Manifest

BUNDLE: Final = ".arkor/build/index.mjs"
BUILD_TIMEOUT: Final = 60.0
LOAD_TIMEOUT: Final = 30.0
BUNDLE_LIMIT: Final = 64 * MIB
START_SECONDS: Final = 15.0
"""How long a start keeps its turn: Node has read the bundle by then, whatever the trainer waits for."""

UNREPORTED: Final = {"ARKOR_TELEMETRY_DISABLED": "1"}
"""For builds: the command would report each to its maker, and wait for that, although no person ran it."""
UNCHECKED: Final = 4.0
"""Seconds that a build stays valid if the sources cannot be inspected: a page polls every two seconds."""
CHECKED: Final = 60.0
"""Seconds that it stays valid while they look unchanged: they may import from outside the repository."""

NO_TRAINER: Final = (
    "{file} exports no trainer. Export one: `export const arkor = createArkor({{ trainer }})`, or "
    "`export const trainer = createTrainer({{ … }})`, both from the package arkor."
)

# The result follows a marker made for this call, because the project's code may print, too.
_READ_NAME: Final = r"""
import { createHash } from "node:crypto";
import { inspect } from "node:util";
const [, url, mark] = process.argv;
let answered = false;
const answer = (it) => {
  if (answered) return;
  answered = true;
  const json = JSON.stringify(it).replace(/[^ -~]/g,
    (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
  process.stdout.write(`\n${mark}${json}\n`, () => process.exit(0));
};
const tidy = (text, most) => Buffer.from([...text.slice(0, 2 * most)].slice(0, most).join("")).toString();
const sentence = (error, depth = 0) => {
  if (typeof error?.message !== "string") return inspect(error);
  const kind = typeof error.name === "string" && error.name !== "Error" ? `${error.name}: ` : "";
  const cause = error.cause !== undefined && depth < 3 ? ` (${sentence(error.cause, depth + 1)})` : "";
  return kind + error.message + cause;
};
const fail = (error) => {
  const safely = (make) => { try { return make(error); } catch { return "an error that cannot be shown"; } };
  answer({ error: tidy(safely(sentence), 4000), stack: tidy(safely(inspect), 8000) });
};
process.on("uncaughtException", fail);
try {
  const bundle = await import(url);
  const isTrainer = (it) => it !== null && typeof it === "object"
    && ["start", "wait", "cancel"].every((method) => typeof it[method] === "function");
  // The order of `arkor start`, which takes a named export for a manifest only if createArkor made it.
  const inManifest = (it) => (it?._kind === "arkor" ? it.trainer : undefined);
  const candidates = [inManifest(bundle.arkor), bundle.arkor, bundle.trainer,
    inManifest(bundle.default), bundle.default, bundle.default?.trainer];
  const trainer = candidates.find(isTrainer);
  const name = trainer && (typeof trainer.name === "string" ? tidy(trainer.name, 200) : "(unnamed trainer)");
  // By this symbol the SDK shows the config that the trainer would submit; not every version does.
  const read = trainer?.[Symbol.for("arkor.trainer.inspect")];
  const ordered = (_, it) => (it !== null && typeof it === "object" && !Array.isArray(it)
    ? Object.fromEntries(Object.entries(it).sort(([one], [other]) => (one < other ? -1 : 1))) : it);
  let config = null;
  try {
    const shown = typeof read === "function" ? JSON.stringify(read.call(trainer).config, ordered) : undefined;
    if (shown !== undefined) config = createHash("sha256").update(shown).digest("hex");
  } catch {}
  answer({ name: name ?? null, config });
} catch (error) {
  fail(error);
}
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What ``arkor build`` wrote: a digest of its bytes, its trainer's name, and a digest of the trainer's
    config; None if the SDK does not show that.
    """

    digest: str
    name: str | None
    config: str | None


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle that stays on disk until ``give_back`` is called, and its trainer's name."""

    name: str
    bundle: Bundle
    give_back: Callable[[], None]

    def check_name(self, expected: str | None) -> None:
        """Raise ConflictError if the trainer does not have the requested name."""
        if expected is not None and expected != self.name:
            now, before = (json.dumps(name, ensure_ascii=False) for name in (self.name, expected))
            raise ConflictError(
                f"The trainer is called {now} in the project now, not {before}. Nothing was started. "
                "Check it, then run it again.",
            )


class TypeScriptProject:
    """One project, for any number of concurrent readers."""

    def __init__(self, project: Path) -> None:
        self._project = project.absolute()
        self._turn = ProjectTurn(self._project)
        self._began = -1.0
        self._state: bytes | None = None
        self._latest: Manifest | ArkorError | None = None
        self._loaded: Bundle | None = None
        self.bundle: Bundle | None = None
        """The latest of the project's own entry."""
        self._while_starting: Manifest | None = None

    async def read(self) -> Manifest:
        """Build the project and name its trainer. Raises BadRequestError with the tool's own message.

        While a start holds the turn, possibly for long, this returns what was built for it.
        """
        if self._while_starting is not None:
            return self._while_starting
        loop = asyncio.get_running_loop()
        requested_at = loop.time()
        give_back = await self._turn.take()
        try:
            # A build that started after our request includes every relevant change.
            if self._latest is None or self._began < requested_at:
                state = await asyncio.to_thread(source_state, repository_of(self._project))
                began = loop.time()
                if self._latest is None or not self._is_current(state, began - self._began):
                    try:
                        self.bundle = await self._build(None)
                        self._latest = _manifest(self.bundle.name)
                    except ArkorError as fault:
                        self._latest = fault
                    self._began, self._state = began, state
            if isinstance(self._latest, ArkorError):
                raise self._latest.reworded(self._latest.text, **self._latest.extra)
            return self._latest
        finally:
            give_back()

    def _is_current(self, state: bytes | None, age: float) -> bool:
        """Return whether the latest build, of this age in seconds, is valid for sources in this state.

        The cause of a failed build may be outside the sources, so a failure is never valid.
        """
        if isinstance(self._latest, ArkorError):
            return False
        return age < UNCHECKED if state is None else state == self._state and age < CHECKED

    async def build(self, file: str | None) -> Built:
        """Build what will run, the project or one file of it, and keep others from building meanwhile.

        Raises BadRequestError if it cannot be built or loaded, or exports no trainer.
        """
        give_back = await self._turn.take()
        try:
            bundle = await self._build(file)
            if (name := bundle.name) is None:
                raise BadRequestError(NO_TRAINER.format(file=file or ENTRY))
        except BaseException:
            give_back()
            raise
        if file is None:
            self.bundle = bundle
            self._while_starting = _manifest(name)
        elif not isinstance(self._latest, ArkorError):
            self._while_starting = self._latest

        def started() -> None:
            self._while_starting = None
            give_back()

        return Built(name, bundle, started)

    async def _build(self, file: str | None) -> Bundle:
        cli, node = await asyncio.to_thread(self._tools)
        # "./" keeps a name that starts with a dash from being read as an option.
        argv = [cli, "build", *([f"./{file}"] if file else [])]
        try:
            await self._run(argv, BUILD_TIMEOUT, "`arkor build` failed")
        except ArkorError as fault:
            raise await self._with_version(fault, node) from None
        bundle = self._project / BUNDLE
        try:
            content = await asyncio.to_thread(read_small, bundle, BUNDLE_LIMIT)
        except OSError as fault:
            raise BadRequestError(
                f"`arkor build` succeeded, but {BUNDLE} cannot be read ({fault.strerror}). Run it by hand.",
            ) from None
        digest = hashlib.sha256(content).hexdigest()
        if self._loaded is None or self._loaded.digest != digest:
            self._loaded = Bundle(digest, *await self._load(node, bundle))
        return self._loaded

    def _tools(self) -> tuple[str, str]:
        """Return the ``arkor`` and the ``node`` command. Raises BadRequestError that says what to install."""
        cli, node = find_cli(self._project), shutil.which("node")
        if node is None:
            raise BadRequestError(no_node(self._project))
        if cli is None:
            raise BadRequestError(not_installed(self._project))
        return cli, node

    async def _with_version(self, error: ArkorError, node: str) -> ArkorError:
        """Return the error of a build, noting that Node is too old if that may be the cause."""
        required = await asyncio.to_thread(wanted_node, self._project)
        version = await node_version(node)
        if required is None or version is None or satisfies(version, required):
            return error
        text = f"{error.text}\n(Node.js here is {version}; the project asks for {required}.)"
        return error.reworded(text, **error.extra)

    async def _load(self, node: str, bundle: Path) -> tuple[str | None, str | None]:
        mark = secrets.token_hex(16)
        argv = [node, "--input-type=module", "-e", _READ_NAME, bundle.as_uri(), mark]
        output = await self._run(argv, LOAD_TIMEOUT, "The built project fails to load")
        printed, separator, answer = output.rpartition(mark)
        if not separator:
            raise build_fault("The built project exits Node before its trainer can be read.", output)
        loaded = json.JSONDecoder().raw_decode(answer)[0]
        if "error" in loaded:
            raise load_fault(plain(loaded["error"]), plain(loaded["stack"]), printed)
        return loaded["name"], loaded["config"]

    async def _run(self, argv: list[str], seconds: float, failed: str) -> str:
        try:
            output = await run_child(argv, self._project, seconds, environ=UNREPORTED)
        except OSError as fault:
            raise BadRequestError(f"{argv[0]} cannot be started ({fault}).") from None
        if output.code is None:
            raise build_fault(f"{failed}: it took more than {seconds:g} s.", output.text)
        if output.code != 0:
            raise build_fault(f"{failed} (exit code {output.code}).", output.text)
        return output.text


async def node_version(node: str) -> str | None:
    """Return what ``node --version`` prints, such as ``v20.19.1``; None if that is not usable."""
    try:
        output = await run_child([node, "--version"], Path(node).parent, 10)
    except OSError:
        return None
    return output.text if output.code == 0 and output.text.startswith("v") else None


def _manifest(name: str | None) -> Manifest:
    return {
        "trainer": None if name is None else {"name": name},
        "trainers": [] if name is None else [{"name": name}],
        "source": "typescript",
    }
