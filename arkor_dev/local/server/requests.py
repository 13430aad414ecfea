"""Shared by all handlers: the served objects, checks of the path, and the body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import web

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import BadRequestError, ForbiddenError, NotFoundError
from arkor_dev.contract.schema import SchemaError, check, check_as
from arkor_dev.local.inference.engines.choice import AUTO
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.database import DATABASE, refuse_empty
from arkor_dev.local.jobs.disk import keep_reserve
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from arkor_dev.contract.schema import Schema

T = TypeVar("T")
ORG: Final = {"id": "local", "name": "This machine"}


@dataclass
class Setup:
    """All objects that this process serves."""

    data: Path
    project: Path
    cache: Path
    token: str = field(repr=False)
    org: str
    slug: str
    store: AsyncStore
    idle: bool = False
    on_demand: bool = False
    resume: bool = True
    at_once: int | None = None
    engine: str = AUTO

    @classmethod
    def open(
        cls,
        data: Path,
        project: Path,
        cache: Path,
        hello: Mapping[str, str],
        *,
        idle: bool = False,
        on_demand: bool = False,
        resume: bool = True,
        at_once: int | None = None,
        engine: str = AUTO,
    ) -> Setup:
        """Open the data folder for the daemon that sent ``hello``.

        ``idle`` starts no job; ``on_demand`` starts none until one is added or resumed, or the queue changes.
        Without ``resume``, jobs that ran when an earlier process ended stay paused. ``at_once`` jobs run
        concurrently, by default one per device. ``engine`` serves requests that name no engine.
        """
        refuse_empty(data / DATABASE)
        store = AsyncStore(Store(data / DATABASE, ORG["id"]))
        keep_reserve(data)
        who = (hello["token"], hello["orgSlug"], hello["projectSlug"])
        return cls(data, project.resolve(), cache, *who, store, idle, on_demand, resume, at_once, engine)


SETUP: Final = web.AppKey("setup", Setup)


def check_org(request: web.Request) -> Setup:
    """Check the organisation in the path; this process serves exactly one."""
    setup = request.app[SETUP]
    org = request.query.get("orgSlug")
    if org is None:
        raise BadRequestError("orgSlug is missing")
    if org != setup.org:
        raise ForbiddenError(f"This backend serves {setup.org}/{setup.slug}, not the organisation {org}")
    return setup


def check_scope(request: web.Request) -> Setup:
    """Check the project in the path; this process serves exactly one."""
    setup = check_org(request)
    project = request.query.get("projectSlug")
    if project is None:
        raise BadRequestError("projectSlug is missing")
    if project != setup.slug:
        raise NotFoundError(f"This backend serves {setup.org}/{setup.slug}, not {setup.org}/{project}")
    return setup


async def body_as(shape: type[T], request: web.Request, schema: Schema) -> T:
    """Return the request's JSON body, validated by ``schema``, as ``shape``."""
    try:
        return check_as(shape, strict_json.parse(await request.read()), schema)
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"The body {fault}") from None
    except SchemaError as fault:
        raise BadRequestError(str(fault)) from None


async def body_of(request: web.Request, schema: Schema) -> dict[str, Any]:
    """Return the request's JSON body, validated by ``schema``."""
    try:
        return check(strict_json.parse(await request.read()), schema)
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"The body {fault}") from None
    except SchemaError as fault:
        raise BadRequestError(str(fault)) from None
