"""``arkor-dev endpoints``: lists the project's endpoints, makes, changes and deletes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.client.endpoints import create_endpoint, deployment_of, deployments_of, new_key, value_of
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.shapes import Deployment
from arkor_dev.core.plain_text import one_line

from .jobs import local_time, require_sign_in

if TYPE_CHECKING:
    from argparse import Namespace

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

CREATE, KEY, ON, OFF, DELETE = "create", "key", "on", "off", "delete"
ACTIONS: Final = (CREATE, KEY, ON, OFF, DELETE)
LABEL: Final = "arkor-dev endpoints"
NAME: Final = 100


async def run_endpoints(settings: Settings, arguments: Namespace) -> int:
    """List the endpoints, or do as the ``arguments`` options say; return the exit code.

    Raises BadRequestError for wrong arguments, and passes on the backend's errors.
    """
    action = arguments.action
    if action not in (None, *ACTIONS):
        raise BadRequestError(f"unknown action {one_line(action, NAME)}. Choose one of {', '.join(ACTIONS)}.")
    if action is not None and arguments.name is None:
        target = "a job: its id, a prefix of it, its name, or latest" if action == CREATE else "an endpoint"
        raise BadRequestError(f"Name {target}: arkor-dev endpoints {action} NAME.")
    made_only = (arguments.endpoint_name, arguments.checkpoint, arguments.open_to_all or None)
    if action != CREATE and any(option is not None for option in made_only):
        raise BadRequestError("--name, --checkpoint and --open are for endpoints create.")
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        if action is None:
            deployments = await deployments_of(backend)
            document = {"endpoints": deployments}
            print(json.dumps(document, indent=2) if arguments.json else "\n".join(lines(deployments)))  # noqa: T201
            return 0
        endpoint, key, said = await _act(backend, action, arguments)
    if arguments.json:
        print(json.dumps({"endpoint": endpoint, **({"key": key} if key else {})}, indent=2))  # noqa: T201
    else:
        print("\n".join([said, *([f"API key, shown only once: {key}"] if key else [])]))  # noqa: T201
    return 0


async def _act(backend: Backend, action: str, arguments: Namespace) -> tuple[Deployment, str | None, str]:
    """Do the action; return the endpoint, a new key of it, and what was done."""
    if action == CREATE:
        job = choose_job(await jobs_of(backend), arguments.name)
        made = await create_endpoint(
            backend, job, step=arguments.checkpoint, name=arguments.endpoint_name,
            open_to_all=arguments.open_to_all, label=LABEL,
        )  # fmt: skip
        return made.deployment, made.key, f"Created the endpoint {made.deployment['slug']}."
    endpoint = await deployment_of(backend, arguments.name)
    name = endpoint["slug"]
    if action == KEY:
        return endpoint, await new_key(backend, endpoint, LABEL), f"Created a key of the endpoint {name}."
    if action == DELETE:
        await backend.delete_deployment(endpoint["id"])
        return endpoint, None, f"Deleted the endpoint {name}, with its keys and its log."
    answer = await backend.update_deployment(endpoint["id"], {"enabled": action == ON})
    return value_of(answer, "deployment", Deployment), None, f"The endpoint {name} is {action}."


def lines(deployments: list[Deployment]) -> list[str]:
    """Format endpoints as a table: name, what it serves, who may call it, if it is off, and when it ends."""
    if not deployments:
        return ["There is no endpoint. `arkor-dev endpoints create JOB` makes one."]
    rows = [("NAME", "SERVES", "CALLERS"), *(_row(deployment) for deployment in deployments)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]


def _row(deployment: Deployment) -> tuple[str, str, str]:
    target = deployment["target"]
    serves = target.get("baseModel") or f"an unknown target ({target.get('kind')})"
    if (adapter := target.get("adapter")) and "jobId" in adapter:
        serves = f"job {adapter['jobId']}" + (f", step {adapter['step']}" if "step" in adapter else "")
    callers = "anyone" if deployment["authMode"] == "none" else "with a key"
    state = "" if deployment["enabled"] else ", off"
    if deployment.get("expiresAt"):
        state += f", ends {local_time(deployment['expiresAt'])}"
    return one_line(deployment["slug"], NAME), one_line(serves, NAME), callers + state
