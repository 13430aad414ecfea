"""TypeScript projects as package managers lay them out, with an ``arkor`` command that builds for real.

The command is ``tests/arkor_cli``: the real esbuild behind it is fetched once a machine, as the models of
the other tests are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from .node import node, npm

if TYPE_CHECKING:
    from collections.abc import Iterator

Layout = Literal["npm", "workspaces", "pnpm", "yarn", "bun"]
LAYOUTS: tuple[Layout, ...] = ("npm", "workspaces", "pnpm", "yarn", "bun")
LOCK_FILES = {
    "npm": "package-lock.json",
    "workspaces": "package-lock.json",
    "pnpm": "pnpm-lock.yaml",
    "yarn": "yarn.lock",
    "bun": "bun.lock",
}
ENTRY = "src/arkor/index.ts"
CLI = Path(__file__).with_name("arkor_cli")

# As pnpm writes it: a script of the shell, since its store has no executables of its own.
PNPM_SHIM = """#!/bin/sh
basedir=$(dirname "$(echo "$0" | sed -e 's,\\\\,/,g')")
if [ -x "$basedir/node" ]; then
  exec "$basedir/node"  "$basedir/../arkor/bin.mjs" "$@"
else
  exec node  "$basedir/../arkor/bin.mjs" "$@"
fi
"""


@dataclass(frozen=True, slots=True)
class TypeScriptProject:
    """``path`` is the project, ``repository`` the folder in which its packages were installed."""

    path: Path
    repository: Path

    def write(self, text: str, name: str = ENTRY) -> None:
        """Save a source file of the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def calls(self) -> list[str]:
        """What the ``arkor`` command was asked for so far."""
        try:
            return (self.path / ".arkor" / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []


def trainer(name: str, model: str = "smollm2-135m-instruct") -> str:
    """A source file that declares one trainer with the SDK."""
    options = f"name: {json.dumps(name)}, model: {json.dumps(model)}"
    return (
        'import { createArkor, createTrainer } from "arkor";\n'
        f"const trainer: unknown = createTrainer({{ {options} }});\n"
        "export const arkor = createArkor({ trainer });\n"
    )


def fetch_arkor() -> Path:
    """The package ``arkor`` of the tests, with esbuild in ``node_modules`` beside it; made once a machine."""
    cache = os.environ.get("ARKOR_TEST_CACHE") or platformdirs.user_cache_dir("arkor-dev", appauthor=False)
    files = sorted(path for path in CLI.iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]
    folder = Path(cache) / "tests" / f"arkor-{digest}"
    with _only_one(folder.with_name("lock")):
        if not folder.exists():
            making = folder.with_name(f"{folder.name}.{os.getpid()}")
            shutil.copytree(CLI, making)
            _run([*npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], making)
            # Published code is minified: one long line, of which an error shows the whole.
            esbuild = making / "node_modules" / ".bin" / "esbuild"
            minified = _run([str(esbuild), "sdk.mjs", "--minify"], making)
            padding = f"/*{'x' * 3300}*/"
            (making / "index.mjs").write_text(padding + minified.replace("\n", ""))
            making.rename(folder)
    return folder


def _run(argv: list[str], folder: Path) -> str:
    path = f"{node().parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        argv, cwd=folder, env={**os.environ, "PATH": path}, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lay_out(layout: Layout, folder: Path, arkor: Path) -> TypeScriptProject:
    """A project in ``folder``, installed as the package manager would; it has no sources yet."""
    shared = layout in ("workspaces", "yarn")
    repository = folder / "a repository" if shared else folder / "a project"
    project = repository / "packages" / "bot" if shared else repository
    project.mkdir(parents=True)
    modules = repository / "node_modules"
    depends = {"dependencies": {"arkor": "1.0.0"}}
    (project / "package.json").write_text(json.dumps({"name": "bot", "private": True, **depends}))
    if shared:
        root = {"name": "repository", "private": True, "workspaces": ["packages/*"]}
        (repository / "package.json").write_text(json.dumps(root))
        (repository / ".git").mkdir()
    (repository / LOCK_FILES[layout]).touch()
    if layout == "yarn":
        (repository / ".yarnrc.yml").write_text("nodeLinker: node-modules\n")
    store = modules / ".pnpm" / "arkor@1.0.0" / "node_modules" if layout == "pnpm" else modules
    store.mkdir(parents=True)
    (store / "arkor").mkdir()
    for name in ("package.json", "bin.mjs", "index.mjs"):
        shutil.copy(arkor / name, store / "arkor" / name)
    (store / "esbuild").symlink_to(arkor / "node_modules" / "esbuild")
    command = modules / ".bin" / "arkor"
    command.parent.mkdir()
    if layout == "pnpm":
        (modules / "arkor").symlink_to(Path(".pnpm") / "arkor@1.0.0" / "node_modules" / "arkor")
        command.write_text(PNPM_SHIM)
        command.chmod(0o755)
    else:
        (store / "arkor" / "bin.mjs").chmod(0o755)
        command.symlink_to("../arkor/bin.mjs")
    if shared:
        (modules / "bot").symlink_to("../packages/bot")
    return TypeScriptProject(project, repository)
