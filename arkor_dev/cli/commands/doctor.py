"""``arkor-dev doctor``: checks what Studio needs and suggests the next step.

Changes nothing: creates no identity and no project, and reads versions without importing packages.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from arkor_dev import __version__
from arkor_dev.backend.client import Backend, ProjectCalls, sign_in_config
from arkor_dev.backend.http_client import open_http_client
from arkor_dev.contract.errors import ArkorError
from arkor_dev.contract.extras import install_command
from arkor_dev.contract.gpus import amd_gpus, idle_gpu, nvidia_gpus, torch_build
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line
from arkor_dev.core.settings import DEFAULT_PORT
from arkor_dev.core.torch_build import oversized_build
from arkor_dev.core.upgrade import upgrade_command
from arkor_dev.identity.base_url import base_url_of
from arkor_dev.identity.credentials_file import NoCredentialsError, StoredCredentials, read_credentials
from arkor_dev.identity.engine import REQUIRED, engine_python, is_complete, missing_extra
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.identity.scope import FileScopes, check_folder
from arkor_dev.identity.views import header_line
from arkor_dev.project.node_tools import is_typescript, no_node, satisfies, wanted_node
from arkor_dev.project.toml.compute import cluster_of
from arkor_dev.project.training_command import training_command
from arkor_dev.project.typescript import node_version
from arkor_dev.server.serve import bind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings

Status = Literal["ok", "warn", "fail"]
BACKEND_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One line of output: the subject, its state, and the next step if there is one."""

    name: str
    status: Status
    text: str
    next: str | None = None


async def run_doctor(settings: Settings, *, as_json: bool = False) -> int:
    """Print every check; return 1 if one failed, else 0."""
    checks = [*_versions(), _port(settings), _project(settings), _command(settings), *await _node(settings)]
    if settings.ssh is not None:
        checks += [await _over_ssh(settings, settings.ssh)]
    elif settings.local:
        checks += [_extra(settings), *_gpu(), *_cluster(settings), *_folders(settings)]
    else:
        checks += [*await _managed(settings)]
    healthy = all(check.status != "fail" for check in checks)
    if as_json:
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=2))  # noqa: T201
    else:
        for check in checks:
            step = f" {check.next}" if check.next else ""
            print(f"{check.status:<4}  {check.name:<11} {one_line(check.text + step, 1000)}")  # noqa: T201
        print(f"\n{_verdict(settings, checks)}")  # noqa: T201
    return 0 if healthy else 1


def _verdict(settings: Settings, checks: list[DoctorCheck]) -> str:
    failed = sum(check.status == "fail" for check in checks)
    if failed:
        subject, steps = ("1 check", "step") if failed == 1 else (f"{failed} checks", "steps")
        return f"{subject} failed. Follow the {steps} above, then run arkor-dev doctor again."
    warned = sum(check.status == "warn" for check in checks)
    marked = "the warning above" if warned == 1 else f"the {warned} warnings above"
    fine = f"Nothing failed; look at {marked}." if warned else "Studio has everything it needs."
    option = f" --ssh {settings.ssh}" if settings.ssh else " --local" if settings.local else ""
    return f"{fine} Next: arkor-dev{option}"


async def _over_ssh(settings: Settings, host: str) -> DoctorCheck:
    """Connect to the other machine, and report what it has."""
    from arkor_dev.connection.ssh.backend import describe_host

    try:
        text = await describe_host(settings, host)
    except ArkorError as fault:
        return DoctorCheck("ssh", "fail", fault.text)
    return DoctorCheck("ssh", "ok", text)


def _versions() -> Iterator[DoctorCheck]:
    yield DoctorCheck(
        "Studio", "ok", f"arkor-dev {__version__}, aiohttp {version('aiohttp')}.",
        f"To upgrade: {upgrade_command()}",
    )  # fmt: skip
    yield DoctorCheck("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _port(settings: Settings) -> DoctorCheck:
    try:
        with bind(settings.port) as sock:
            port = sock.getsockname()[1]
    except ArkorError as fault:
        return DoctorCheck("Port", "fail", fault.text)
    if settings.port is None and port != DEFAULT_PORT:
        return DoctorCheck("Port", "warn", f"{DEFAULT_PORT} is taken; Studio will use {port}.")
    return DoctorCheck("Port", "ok", f"{port} is free.")


def _project(settings: Settings) -> DoctorCheck:
    folder = settings.project
    if not os.access(folder, os.R_OK | os.X_OK):
        return DoctorCheck("Project", "fail", f"{folder} cannot be read.", "Fix the folder's permissions.")
    state = folder / ".arkor"
    if not settings.local and not os.access(state if state.exists() else folder, os.W_OK | os.X_OK):
        return DoctorCheck(
            "Project", "fail", f"{state} cannot be written, where the project's scope is kept.",
            "Fix the folder's permissions, or train on this machine: arkor-dev --local",
        )  # fmt: skip
    try:
        check_folder(folder)
    except ArkorError as fault:
        return DoctorCheck("Project", "fail", fault.text)
    return DoctorCheck("Project", "ok", f"{folder}")


def _command(settings: Settings) -> DoctorCheck:
    try:
        launch = training_command(settings, {})
    except ArkorError as fault:
        # A folder that is not yet a project is fine; a project whose trainer can't run is not.
        declared = (settings.project / "arkor.toml").exists() or is_typescript(settings.project)
        return DoctorCheck("Training", "fail" if declared else "warn", fault.text)
    if launch.trainer is not None:
        return DoctorCheck("Training", "ok", f"arkor.toml, first trainer {launch.trainer!r}.")
    return DoctorCheck("Training", "ok", f"{launch.argv[0]}")


async def _node(settings: Settings) -> list[DoctorCheck]:
    """Check Node, for a project that needs it."""
    project = settings.project
    if (project / "arkor.toml").exists() or not is_typescript(project):
        return []
    if (node := shutil.which("node")) is None:
        return [DoctorCheck("Node.js", "fail", no_node(project))]
    version, required = await node_version(node), wanted_node(project)
    product = f"Node.js {required}" if required else "Node.js"
    step = f"Install {product} from https://nodejs.org or with your version manager."
    if version is None:
        return [DoctorCheck("Node.js", "fail", f"{node} cannot be run.", step)]
    if required is None:
        return [DoctorCheck("Node.js", "ok", f"{version} at {node}")]
    if not satisfies(version, required):
        return [
            DoctorCheck("Node.js", "warn", f"{version} at {node}, but the project asks for {required}.", step)
        ]
    return [DoctorCheck("Node.js", "ok", f"{version} at {node}, which is in {required}.")]


def _extra(settings: Settings) -> DoctorCheck:
    if (text := missing_extra(settings)) is not None:
        return DoctorCheck("Local extra", "fail", text)
    if not is_complete():
        return DoctorCheck("Local extra", "ok", f"in an environment of its own: {engine_python(settings)}")
    versions = ", ".join(f"{name} {_version(name)}" for name in REQUIRED)
    if (extra_packages := oversized_build()) is not None:
        text, way_out = extra_packages
        return DoctorCheck("Local extra", "warn", f"{versions}. {text}", way_out)
    return DoctorCheck("Local extra", "ok", versions)


def _gpu() -> Iterator[DoctorCheck]:
    """Check the GPU, if there is one; nothing without torch."""
    if (kind := torch_build()) is None:
        return
    if problem := idle_gpu(kind):
        name, needed = problem
        text = f"{name} is there, but the installed PyTorch cannot use it: training runs on the processor."
        yield DoctorCheck("GPU", "warn", text, f"Install {needed}: https://pytorch.org/get-started/locally")
    for gpu in nvidia_gpus() if kind == "cuda" else amd_gpus() if kind == "rocm" else ():
        memory_text = (
            f", {format_bytes(gpu.free)} of {format_bytes(gpu.total)} free" if gpu.free and gpu.total else ""
        )
        yield DoctorCheck("GPU", "ok", f"{gpu.name}{memory_text}.")


def _cluster(settings: Settings) -> Iterator[DoctorCheck]:
    """Check the cluster setting without connecting: any project may name a cluster."""
    if (address := cluster_of(settings)) is None:
        return
    if importlib.util.find_spec("ray") is None:
        text = f"{address} needs Ray, which is not installed."
        yield DoctorCheck("Cluster", "fail", text, install_command("ray"))
    else:
        step = f"Show it: arkor-dev cluster status {address}"
        yield DoctorCheck("Cluster", "ok", f"{address}, Ray {_version('ray')}.", step)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def _folders(settings: Settings) -> Iterator[DoctorCheck]:
    for name, folder in (("Jobs", settings.local_data), ("Models", settings.cache)):
        existing = _nearest(folder)
        if os.access(existing, os.W_OK | os.X_OK) and existing.is_dir():
            yield DoctorCheck(name, "ok", f"{folder}")
        else:
            yield DoctorCheck(
                name, "fail", f"{folder} can't be created or written.", f"Fix the permissions of {existing}."
            )


def _nearest(path: Path) -> Path:
    """Return the path, or the closest parent folder that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


async def _managed(settings: Settings) -> list[DoctorCheck]:
    path = settings.arkor_home / "credentials.json"
    stored: StoredCredentials | None = None
    try:
        stored = read_credentials(path)
    except NoCredentialsError as fault:
        state = "is not JSON" if fault.damaged else "does not exist yet"
        check = DoctorCheck(
            "Credentials", "warn", f"{path} {state}; Studio creates an anonymous identity at its start."
        )
    except ArkorError as fault:
        return [DoctorCheck("Credentials", "fail", fault.text)]
    else:
        check = _rights(path, stored)
    if stored is None and not os.access(existing := _nearest(settings.arkor_home), os.W_OK | os.X_OK):
        check = DoctorCheck(
            "Credentials", "fail", f"{path} can't be created.", f"Fix the permissions of {existing}."
        )
    return [check, *await _backend(settings, stored)]


def _rights(path: Path, stored: StoredCredentials) -> DoctorCheck:
    identity = "anonymous identity" if stored.mode == "anon" else f"account ({stored.mode})"
    if path.stat().st_mode & 0o077:
        return DoctorCheck(
            "Credentials", "warn", f"{path}: {identity}, and others on this machine can read it.",
            f"Run: chmod 600 {path}",
        )  # fmt: skip
    return DoctorCheck("Credentials", "ok", f"{path}: {identity}")


async def _backend(settings: Settings, stored: StoredCredentials | None) -> list[DoctorCheck]:
    try:
        url = base_url_of(settings.cloud_url, stored)
        async with asyncio.timeout(BACKEND_SECONDS), open_http_client() as http:
            if stored is None:
                await sign_in_config(http, url)
                return [DoctorCheck("Backend", "ok", f"{url} answers.")]
            identity = FileIdentity(settings, http)
            scopes = FileScopes(settings.project, ProjectCalls(http))
            await Backend(http, identity, scopes).me()
            credentials = await identity.credentials()
            scope = await scopes.for_read(credentials)
            answers = DoctorCheck("Backend", "ok", f"{url} answers: {header_line(credentials, scope)}")
            if scope is None and (settings.project / ".arkor" / "state.json").exists():
                text = ".arkor/state.json belongs to another identity, so the jobs list stays empty."
                return [
                    answers,
                    DoctorCheck("Scope", "warn", text, "Run `arkor-dev login`, or move the file away."),
                ]
            return [answers]
    except ArkorError as fault:
        return [DoctorCheck("Backend", "fail", fault.text)]
    except TimeoutError:
        return [DoctorCheck("Backend", "fail", f"{url} has not answered in {BACKEND_SECONDS:g} s.")]
