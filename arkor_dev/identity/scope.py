"""The project of a call: ``state.json`` and its rules (docs/contract.md#scope).

State of another anonymous identity is *unusable*: reads act as if there were none, writes say what to do. A
state file that names a scope is never overwritten or deleted: it may be the only trace of jobs.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Protocol

from arkor_dev.backend.interfaces import Scope
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError, ConflictError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import check_writable, write_private
from arkor_dev.core.plain_text import slug_of, tidy_name

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.backend.interfaces import Credentials


STATE_LIMIT = 64 * 1024
"""Size limit in bytes; three short texts need a few hundred."""


class Projects(Protocol):
    """The two calls that creating a scope needs; ``backend.ProjectCalls`` implements them."""

    async def list_projects(self, credentials: Credentials, org_slug: str) -> list[dict[str, object]]:
        """Return the organisation's projects."""

    async def create_project(
        self, credentials: Credentials, org_slug: str, name: str, slug: str
    ) -> dict[str, object]:
        """Create a project. Raises ConflictError if the slug exists."""


def state_path(project: Path) -> Path:
    """Return where the project's scope is stored."""
    return project / ".arkor" / "state.json"


def read_state(project: Path) -> Scope | None:
    """Return the scope of ``state.json``; None if it is absent or is not three strings.

    Raises ConflictError if the file exists and cannot be read.
    """
    path = state_path(project)
    try:
        state = json.loads(read_small(path, STATE_LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError):
        return None
    except OSError as fault:
        raise ConflictError(
            f"{path} cannot be read ({fault.strerror}). Fix its permissions, or move it away."
        ) from None
    if not isinstance(state, dict):
        return None
    match state.get("orgSlug"), state.get("projectSlug"), state.get("projectId"):
        case str(org), str(slug), str(identifier) if org and slug:
            return Scope(org, slug, identifier)
    return None


def check_folder(project: Path) -> None:
    """Raise ConflictError if ``.arkor`` is a link out of the project.

    A folder that somebody else has prepared must not decide where on this machine Studio writes.
    """
    folder = state_path(project).parent
    try:
        real = folder.resolve()
    except (OSError, RuntimeError):
        return  # a link to itself: writing through it reports that
    if not real.is_relative_to(project.resolve()):
        raise ConflictError(
            f"{folder} is a link out of the project, so nothing is written there. Replace it with a folder.",
        )


def write_state(project: Path, scope: Scope, *, exclusive: bool = False) -> None:
    """Write ``state.json`` atomically; with ``exclusive`` raise FileExistsError instead of replacing one.

    Raises ConflictError if ``.arkor`` leads out of the project, and OSError.
    """
    check_folder(project)
    state = {
        "orgSlug": scope.org_slug,
        "projectSlug": scope.project_slug,
        "projectId": scope.project_id or "",
    }
    write_private(
        state_path(project),
        json.dumps(state, indent=2).encode() + b"\n",
        exclusive=exclusive,
        folder_mode=0o777,
    )


class FileScopes:
    """The scope in the project's folder, created by the first write that needs one."""

    def __init__(self, project: Path, projects: Projects) -> None:
        self._project = project
        self._projects = projects
        self._creating = asyncio.Lock()

    async def for_read(self, credentials: Credentials) -> Scope | None:
        """Return the usable scope, or None, also for an unreadable file: lists are empty, not broken."""
        try:
            scope = await asyncio.to_thread(read_state, self._project)
        except ArkorError:
            return None
        return scope if scope and _usable(scope, credentials) else None

    async def for_write(self, credentials: Credentials) -> Scope:
        """Return the scope in the file, or create a project for an anonymous identity."""
        async with self._creating:
            scope = await asyncio.to_thread(read_state, self._project) or await self._create(credentials)
        if not _usable(scope, credentials):
            raise ConflictError(
                f"{state_path(self._project)} belongs to the organisation {scope.org_slug}, not to your "
                f"anonymous identity {credentials.org_slug}. Run `arkor-dev login` with the account that "
                "owns it, or move the file away to start a new project.",
            )
        return scope

    async def _create(self, credentials: Credentials) -> Scope:
        if credentials.mode != "anon" or credentials.org_slug is None:
            raise BadRequestError(
                "This project is not linked to an organisation yet. "
                f"Write {state_path(self._project)} by hand: "
                '{"orgSlug": "…", "projectSlug": "…", "projectId": "…"}, with the values of your account.',
            )
        check_folder(self._project)
        try:
            await asyncio.to_thread(check_writable, state_path(self._project).parent, 0o777)
        except OSError as fault:
            raise self._unwritable(fault) from None
        org = credentials.org_slug
        slug = slug_of(self._project.name)
        # A lost state file must not create a second project for the same folder.
        project = await self._existing(credentials, org, slug) or await self._new(credentials, org, slug)
        scope = _scope_of(project, org)
        return await asyncio.to_thread(self._write_down, scope)

    async def _new(self, credentials: Credentials, org: str, slug: str) -> dict[str, object]:
        try:
            return await self._projects.create_project(credentials, org, self._project.name or slug, slug)
        except ConflictError:
            if (project := await self._existing(credentials, org, slug)) is not None:
                return project
        raise ConflictError(
            f"The backend says that the project {slug} exists but does not list it in {org}. Try again.",
        )

    async def _existing(self, credentials: Credentials, org: str, slug: str) -> dict[str, object] | None:
        """Return the folder's project, by its slug, or by its name and the slug of an older Studio."""
        projects = await self._projects.list_projects(credentials, org)
        name = self._project.name
        return next(
            (project for project in projects if project.get("slug") == slug),
            next(
                (it for it in projects if it.get("name") == name and it.get("slug") == tidy_name(name)), None
            ),
        )

    def _write_down(self, scope: Scope) -> Scope:
        try:
            try:
                write_state(self._project, scope, exclusive=True)
            except FileExistsError:
                # Another process was first: its scope holds. A file that names none is replaced.
                existing = read_state(self._project)
                if existing is not None:
                    return existing
                write_state(self._project, scope)
        except OSError as fault:
            raise self._unwritable(fault) from None
        return scope

    def _unwritable(self, error: OSError) -> ArkorError:
        return ConflictError(
            f"{state_path(self._project)} cannot be written ({error.strerror}). Fix its permissions.",
        )


class FixedScope:
    """A fixed scope, that of the local backend. Writes nothing into the project."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def for_read(self, credentials: Credentials) -> Scope | None:
        """Return the scope."""
        return self._scope

    async def for_write(self, credentials: Credentials) -> Scope:
        """Return the scope."""
        return self._scope


def _usable(scope: Scope, credentials: Credentials) -> bool:
    return credentials.mode != "anon" or scope.org_slug == credentials.org_slug


def _scope_of(project: dict[str, object], org: str) -> Scope:
    slug, identifier = project.get("slug"), project.get("id")
    if not isinstance(slug, str) or not isinstance(identifier, str) or not slug:
        raise BackendError("The backend created a project but did not say which. Try again later.")
    return Scope(org, slug, identifier)
