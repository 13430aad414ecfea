"""``arkor-dev status``: whether Studio is open on the project, and how far its jobs are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout

from arkor_dev.contract.errors import BackendError
from arkor_dev.core.plain_text import one_line
from arkor_dev.server.open_studios import PATH, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.core.settings import Settings
    from arkor_dev.server.agent import AgentStatus

SECONDS = 10.0


async def run_status(settings: Settings, *, as_json: bool) -> int:
    """Print the status of the Studio that is open on this project and backend; return the exit code.

    1 if there is none. Only a Studio that was started with ``--agent`` says more than its address. Raises
    BackendError if it does not answer.
    """
    session = session_of(settings)
    if session is None:
        _say({"open": False} if as_json else "No Studio is open on this project.")
        return 1
    address = f"http://localhost:{session.port}"
    if session.secret is None:
        if as_json:
            _say({"open": True, "port": session.port})
        else:
            _say(f"Studio is open on {address}. For the state of its jobs, start it with --agent.")
        return 0
    status = await _status(session.port, session.secret)
    if as_json:
        _say({"open": True, **status})
        return 0
    _say(f"Studio is open on {address}, for {one_line(status.get('project'), 500)}")
    jobs = status.get("jobs")
    if not isinstance(jobs, list):
        _say("Its backend does not answer.")
    elif not jobs:
        _say("No job is running.")
    else:
        for job in jobs:
            step, total = job.get("step", 0), job.get("totalSteps")
            _say(f"{one_line(job.get('id'), 200)} is running: step {step}{f' of {total}' if total else ''}")
    return 0


async def _status(port: int, secret: str) -> AgentStatus:
    try:
        async with (
            ClientSession(timeout=ClientTimeout(SECONDS)) as http,
            http.get(
                f"http://127.0.0.1:{port}{PATH}",
                headers={"Authorization": f"Bearer {secret}"},
                allow_redirects=False,
            ) as answer,
        ):
            status: AgentStatus = await answer.json()
    except (ClientError, TimeoutError, ValueError) as fault:
        raise BackendError(f"The Studio on port {port} does not answer: {type(fault).__name__}.") from None
    if answer.status != 200 or not isinstance(status, dict):
        raise BackendError(f"The Studio on port {port} refused to say its status ({answer.status}).")
    return status


def _say(text: str | Mapping[str, object]) -> None:
    print(text if isinstance(text, str) else json.dumps(text))  # noqa: T201
