"""One endpoint without the page, for ``arkor-dev serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.server.api.envelope import BODY_LIMIT, error_envelope
from arkor_dev.server.app_keys import BACKEND
from arkor_dev.server.security.guards import add_security_headers, expectation_guard, host_guard
from arkor_dev.server.security.same_user import same_user_guard

from .routes import MESSAGES, ROUTES, fault_answer

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings
    from arkor_dev.server.security.guards import Handler


def endpoint_app(settings: Settings, backend: Backend, slug: str) -> web.Application:
    """Create an application that serves the deployment ``slug`` of ``backend`` behind Studio's guards."""

    @web.middleware
    async def only_this_one(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.get("slug", slug) != slug:
            fault = NotFoundError("This endpoint does not exist", code="endpoint_not_found")
            return fault_answer(fault, anthropic=request.path.split("/")[4:5] == [MESSAGES])
        return await handler(request)

    guards: list[Middleware] = [error_envelope, host_guard]
    if not settings.allow_other_users:
        guards.append(same_user_guard)
    app = web.Application(middlewares=[*guards, expectation_guard, only_this_one], client_max_size=BODY_LIMIT)
    app[BACKEND] = backend
    app.on_response_prepare.append(add_security_headers)
    app.add_routes(ROUTES)
    return app
