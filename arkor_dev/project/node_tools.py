"""The tools of a TypeScript project: Node, the ``arkor`` command, and its package manager.

Packages are searched as ``npx`` does: in the project, then in the folders above it up to the repository's
root, where hoisted workspaces have theirs.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY: Final = "src/arkor/index.ts"
# The lock file of each package manager, and its commands to install everything or one more package. arkor is
# on no registry, where anybody could take its name: it is installed from its file.
_MANAGERS: Final = (
    ("pnpm-lock.yaml", "pnpm install", "pnpm add FILE.tgz"),
    ("yarn.lock", "yarn install", "yarn add FILE.tgz"),
    ("bun.lock", "bun install", "bun add FILE.tgz"),
    ("bun.lockb", "bun install", "bun add FILE.tgz"),
    ("package-lock.json", "npm install", "npm install FILE.tgz"),
)
_COMPARATOR: Final = re.compile(r"(>=|<=|>|<|\^|~|=)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?")


def is_typescript(project: Path) -> bool:
    """Return whether the folder looks like a project of the ``arkor`` CLI."""
    return typescript_sign(project) is not None


def typescript_sign(project: Path) -> str | None:
    """Say what identifies the folder as a project of the ``arkor`` CLI; None if nothing does."""
    if (project / ENTRY).is_file():
        return f"{ENTRY} is there"
    if _depends(project):
        return "package.json names arkor"
    return None if _command_in(project) is None else "arkor is in its node_modules"


def find_cli(project: Path) -> str | None:
    """Return the ``arkor`` command: the project's or its repository's own, or else the one on PATH."""
    for folder in _package_folders(project):
        if (command := _command_in(folder)) is not None:
            return command
    return shutil.which("arkor")


def repository_of(project: Path) -> Path:
    """Return the root of the project's repository or workspace, or else the project itself."""
    return list(_package_folders(project))[-1]


def not_installed(project: Path) -> str:
    """Say what to do without an ``arkor`` command, with the project's package manager."""
    install, add = "npm install", "npm install FILE.tgz"
    for folder in _package_folders(project):
        if (folder / ".pnp.cjs").exists():
            return (
                "Only Yarn finds packages under Plug'n'Play. Put `nodeLinker: node-modules` into "
                ".yarnrc.yml, then run `yarn install` in the project."
            )
        commands_found = [commands for lock, *commands in _MANAGERS if (folder / lock).exists()]
        if commands_found:
            install, add = commands_found[0]
            break
    if _depends(project):
        return f"package.json names arkor, but it is not installed. Run `{install}` in the project."
    return (
        f"The arkor CLI is not installed, so {ENTRY} cannot be built. npm's registry does not have it: with "
        f"the package's file, run `{add}` in the project."
    )


def no_node(project: Path) -> str:
    """Say what to do without a ``node`` command."""
    required = wanted_node(project)
    product = f"Node.js {required}" if required else "Node.js"
    return (
        f"Node.js is not on PATH, and the arkor CLI needs it. Install {product} "
        "(https://nodejs.org, or your system's packages), then start Studio again from a new terminal."
    )


def wanted_node(project: Path) -> str | None:
    """Return ``engines.node`` of the project, or else of its ``arkor`` package; None if neither has it."""
    packages = [folder / "node_modules" / "arkor" for folder in _package_folders(project)]
    for folder in (project, *packages):
        engines = _package_json(folder).get("engines")
        required = engines.get("node") if isinstance(engines, dict) else None
        if isinstance(required, str) and 0 < len(required) <= 100 and required.isprintable():
            return required
    return None


def satisfies(version: str, required: str) -> bool:
    """Return whether Node's ``version`` ("v20.19.1") is in npm's range; True for an unknown kind of range."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return len(numbers) < 3 or any(_all_hold(numbers, part) for part in required.split("||"))


def _all_hold(version: tuple[int, ...], comparators: str) -> bool:
    if " - " in comparators or _COMPARATOR.sub("", comparators).strip(" ,"):
        return True
    return all(_holds(version, match) for match in _COMPARATOR.finditer(comparators))


def _holds(version: tuple[int, ...], match: re.Match[str]) -> bool:
    sign, *parts = match.groups()
    numbers = []
    for part in parts:
        if part is None or not part.isdecimal():
            break
        numbers.append(int(part))
    if not numbers:
        return True
    low = tuple([*numbers, 0, 0][:3])
    # The first version after the given one: 20 means every 20.x.
    high = (*numbers[:-1], numbers[-1] + 1)
    match sign:
        case ">=":
            return version >= low
        case ">":
            return version >= high if len(numbers) < 3 else version > low
        case "<":
            return version < low
        case "<=":
            return version[: len(high)] < high
        case "^":
            first = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return low <= version and version[: first + 1] <= low[: first + 1]
        case "~":
            return low <= version and version[: min(2, len(numbers))] == low[: min(2, len(numbers))]
    return version[: len(numbers)] == tuple(numbers)


def _package_folders(project: Path) -> Iterator[Path]:
    """Return the project, then the folders above it up to its repository's (or workspace's) root, if any.

    It stops at a folder that belongs to another user or is world-writable: its content may be someone else's,
    and would be executed.
    """
    folders = [project]
    try:
        owner = project.stat().st_uid
        for folder in project.parents:
            if folder == Path(folder.anchor):
                break
            state = folder.stat()
            if state.st_uid != owner or state.st_mode & stat.S_IWOTH:
                break
            folders.append(folder)
    except OSError:
        pass
    ends = [index for index, folder in enumerate(folders) if _is_root(folder)]
    return iter(folders[: ends[0] + 1] if ends else folders[:1])


def _is_root(folder: Path) -> bool:
    return (
        (folder / ".git").exists()
        or (folder / "pnpm-workspace.yaml").is_file()
        or "workspaces" in _package_json(folder)
    )


def _command_in(folder: Path) -> str | None:
    return shutil.which("arkor", path=str(folder / "node_modules" / ".bin"))


def _depends(project: Path) -> bool:
    package = _package_json(project)
    kinds = (package.get(kind) for kind in ("dependencies", "devDependencies"))
    return any(isinstance(kind, dict) and "arkor" in kind for kind in kinds)


def _package_json(folder: Path) -> dict[str, object]:
    try:
        package = json.loads(read_small(folder / "package.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return package if isinstance(package, dict) else {}
