"""``arkor-dev sweep`` and ``sources``: a search for better settings, and runs that compare sources of data.

Both are started, followed, stopped and deleted alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict, TypeGuard

from arkor_dev.backend.calls import objects_in
from arkor_dev.cli.consent import ask_about_notices
from arkor_dev.cli.set_option import toml_values
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError, BadRequestError, NotFoundError
from arkor_dev.contract.rules import quoted
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.arkor_toml import choose, load_trainers
from arkor_dev.project.toml.sweep import deadline_of, key_of, load_sweep, space_of

from .cluster import need_placement, placed
from .jobs import require_sign_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Iterator, Mapping

    from arkor_dev.backend.client import Backend, Response
    from arkor_dev.contract.shapes import Sweep
    from arkor_dev.core.settings import Settings

START, STATUS, STOP, DELETE = "start", "status", "stop", "delete"
LOOK_SECONDS: Final = 2.0
DETACHED: Final = (
    "The sweep is kept: `arkor-dev --local` continues it, and `arkor-dev sweep stop --local` ends it."
)
NAME: Final = 60
MOST_TRIALS: Final = 10
"""Maximum number of trials in the table, the best first."""


class SweepRequest(TypedDict):
    """The body of the call that starts a sweep: `arkor_dev.contract.bodies.SWEEP`."""

    name: str
    config: dict[str, object]
    space: NotRequired[dict[str, object]]
    deadline: NotRequired[str]
    jobs: NotRequired[int]
    sources: NotRequired[dict[str, int]]


async def run_sweep(settings: Settings, arguments: argparse.Namespace) -> int:
    """Start, show, stop or delete a sweep; return the exit code. Raises ArkorError."""
    action = arguments.action or STATUS
    if action not in (START, STATUS, STOP, DELETE):
        raise BadRequestError(f"unknown action {one_line(action, 100)}. See arkor-dev sweep --help.")
    if action == DELETE and arguments.sweep is None:
        raise BadRequestError("Name the sweep to delete: arkor-dev sweep delete SWEEP")
    if not settings.local:
        require_sign_in(settings)
    if action == START:
        return await start(
            settings, await asyncio.to_thread(_request, settings, arguments), as_json=arguments.json
        )
    async with joined(settings, lambda _: None, idle=True) as backend:
        sweep = _choose(await _all(backend), arguments.sweep)
        if action == STOP:
            sweep = await _answer(backend.stop_sweep(sweep["id"]))
        if action == DELETE:
            await _delete(backend, sweep, with_jobs=arguments.with_jobs, quiet=arguments.json)
            return 0
        return _print(sweep, as_json=arguments.json)


async def start(settings: Settings, body: SweepRequest, *, as_json: bool) -> int:
    """Start a sweep, follow it if it ends with this command, and print it; return the exit code."""
    await placed(settings, body["config"])
    ask_about_notices(settings, lambda text: print(text, file=sys.stderr))  # noqa: T201
    async with joined(settings, lambda _: None, on_demand=True) as backend:
        await need_placement(backend, settings, body["config"])
        sweep = await _answer(backend.start_sweep(body))
        # Without an open Studio the backend ends with this command, so the sweep is followed to its end.
        if backend.ends_with_launch:
            sweep = await _follow(backend, sweep, quiet=as_json)
        return _print(sweep, as_json=as_json)


def _print(sweep: Sweep, *, as_json: bool) -> int:
    print(json.dumps({"sweep": sweep}, indent=2) if as_json else "\n".join(lines_of(sweep)))  # noqa: T201
    return 1 if sweep.get("state") == "failed" else 0


async def run_sources(settings: Settings, arguments: argparse.Namespace) -> int:
    """Start the runs that compare a trainer's sources; return the exit code. Raises ArkorError."""
    if not settings.local:
        require_sign_in(settings)
    trainer = choose(await asyncio.to_thread(load_trainers, settings.project), arguments.trainer)
    sources = {"runs": arguments.runs, "steps": arguments.steps}
    body: SweepRequest = {
        "name": f"{trainer['name']} sources",
        "config": dict(trainer["config"]),
        "sources": {name: value for name, value in sources.items() if value is not None},
    }
    return await start(settings, body, as_json=arguments.json)


def _request(settings: Settings, arguments: argparse.Namespace) -> SweepRequest:
    """Return the body of the call: the options, and for the rest ``[sweep]`` of arkor.toml."""
    trainers = load_trainers(settings.project)
    table = load_sweep(settings.project, trainers)
    trainer = choose(trainers, arguments.trainer or table.trainer)
    if arguments.space:
        try:
            space = space_of(arguments.space, toml_values, trainer["config"].get("method"))
        except ValueError as fault:
            raise BadRequestError(str(fault)) from None
    else:
        space = table.space or {}
    if not space:
        raise BadRequestError(
            "There is nothing to search. Add [sweep.space] to arkor.toml, or --space 'learning_rate=[2e-4, "
            "1e-3]'"
        )
    until, hours, jobs = arguments.until, arguments.hours, arguments.jobs
    if until is not None and hours is not None:
        raise BadRequestError("--until and --hours are both given. Remove one of the two")
    if until is None and hours is None and jobs is None:
        until, hours, jobs = table.until, table.hours, table.jobs
    deadline = deadline_of(until, hours, datetime.now().astimezone())
    if until is not None and deadline is None:
        raise BadRequestError(f'--until {quoted(until)} is invalid; expected a time of day, such as "07:00"')
    if deadline is None and jobs is None:
        raise BadRequestError("The sweep has no end. Add --until 07:00, --hours N or --jobs N")
    body: SweepRequest = {
        "name": f"{trainer['name']} sweep",
        "config": dict(trainer["config"]),
        "space": space,
    }
    if deadline is not None:
        body["deadline"] = deadline.isoformat()
    if jobs is not None:
        body["jobs"] = jobs
    return body


async def _follow(backend: Backend, sweep: Sweep, *, quiet: bool) -> Sweep:
    """Print a sweep's progress until its end. Ctrl-C leaves it to the next backend of the project."""
    printed = ""
    try:
        while sweep.get("state") == "running":
            line = _progress(sweep)
            if line != printed and not quiet:
                print(line, flush=True)  # noqa: T201
            printed = line
            await asyncio.sleep(LOOK_SECONDS)
            sweep = await _answer(backend.get_sweep(sweep["id"]))
    except asyncio.CancelledError:
        print(f"\n{DETACHED}", file=sys.stderr)  # noqa: T201
        raise
    return sweep


async def _delete(backend: Backend, sweep: Sweep, *, with_jobs: bool, quiet: bool) -> None:
    """Delete a sweep, and then its jobs if asked for. Raises ArkorError."""
    await backend.delete_sweep(sweep["id"])
    jobs = [str(trial.get("jobId")) for trial in objects_in(sweep.get("trials"))] if with_jobs else []
    for job in jobs:
        with contextlib.suppress(NotFoundError):  # deleted before
            await backend.delete_job(job)
    if quiet:
        print(json.dumps({"sweep": sweep}, indent=2))  # noqa: T201
        return
    too = f" and {len(jobs)} job{'s' * (len(jobs) != 1)}" if jobs else ""
    print(f"Deleted {one_line(sweep.get('name'), NAME)}{too}.")  # noqa: T201


async def _answer(call: Awaitable[Response]) -> Sweep:
    try:
        sweep = json.loads((await call).body)["sweep"]
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend has no sweeps. ({refusal.text})") from None
    except (ValueError, KeyError, TypeError):
        raise BackendError("The backend's answer is unreadable. Try again later.") from None
    if not _is_sweep(sweep):
        raise BackendError("The backend's answer is unreadable. Try again later.")
    return sweep


def _is_sweep(value: object) -> TypeGuard[Sweep]:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


async def _all(backend: Backend) -> list[Sweep]:
    try:
        sweeps = json.loads((await backend.list_sweeps()).body)["sweeps"]
        return [sweep for sweep in sweeps if _is_sweep(sweep)]
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend has no sweeps. ({refusal.text})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackendError("The backend's list of sweeps is unreadable. Try again later.") from None


def _choose(sweeps: list[Sweep], text: str | None) -> Sweep:
    """Return the sweep whose id begins with ``text``, else the newest. Raises BadRequestError."""
    matches = [sweep for sweep in sweeps if text is None or sweep["id"].startswith(text)]
    if not matches or (text is not None and len(matches) > 1):
        problem = "There is no sweep" if not matches else "Several sweeps begin with"
        name = "yet" if text is None else one_line(text, 100)
        raise BadRequestError(f"{problem} {name}. `arkor-dev sweep start` starts one.")
    return matches[0]


def _progress(sweep: Sweep) -> str:
    trials = objects_in(sweep.get("trials"))
    tried = sum(bool(objects_in(trial.get("results"))) for trial in trials if trial.get("role") == "search")
    plan = sweep.get("plan")
    if sweep.get("held"):
        return one_line(sweep["held"], 1000)
    if not isinstance(plan, dict):
        return "Estimating how long a run takes …"
    confirms = any(trial.get("role") == "winner" for trial in trials)
    phase = ", confirming the best with fresh seeds" if confirms else ""
    end = f"; ends about {_clock(plan['endsAt'])}" if "endsAt" in plan else ""
    return f"{tried} of about {plan.get('trials')} trials{phase}{end}"


def lines_of(sweep: Sweep) -> Iterator[str]:
    """Format a sweep for a terminal: its state or verdict, its trials, and what mattered."""
    name, state = one_line(sweep.get("name"), NAME), one_line(sweep.get("state"), 20)
    yield f"{name} ({one_line(sweep['id'], 100)}): {state}"
    if state == "running":
        until = f", at most until {_clock(sweep['deadline'])}" if sweep.get("deadline") else ""
        yield f"{_progress(sweep)}{until}"
    if sweep.get("error"):
        yield one_line(sweep["error"], 1000)
    verdict = sweep.get("verdict")
    if isinstance(verdict, dict):
        yield one_line(verdict.get("sentence"), 1000)
        settings = verdict.get("settings")
        if isinstance(settings, dict):
            yield f"Settings: {_settings(settings)}"
    yield from _effects(sweep)
    if sweep.get("runs"):
        return
    trials = [trial for trial in objects_in(sweep.get("trials")) if trial.get("role") == "search"]
    trials_shown = sorted(
        ((results[-1], trial) for trial in trials if (results := objects_in(trial.get("results")))),
        key=lambda pair: (-_number(pair[0].get("step")), _number(pair[0].get("loss"))),
    )
    measure = sweep.get("measure")
    title, sign = "LOSS", 1
    if isinstance(measure, dict):
        title = one_line(measure.get("label") or title, 20).upper()
        sign = -1 if measure.get("higher") else 1
    if trials_shown:
        yield ""
        yield f"{'TRIAL':>5}  {'STEPS':>6}  {title:>8}  SETTINGS"
    for result, trial in trials_shown[:MOST_TRIALS]:
        changed: object = trial.get("settings")
        words = _settings(changed) if isinstance(changed, dict) and changed else "your settings"
        yield (
            f"{_number(trial.get('number')):>5.0f}  {_number(result.get('step')):>6,.0f}  "
            f"{sign * _number(result.get('loss')):>{max(8, len(title))}.4f}  {words}"
        )
    if len(trials_shown) > MOST_TRIALS:
        yield f"… and {len(trials_shown) - MOST_TRIALS} more"
    mattered = [
        f"{key_of(one_line(importance.get('setting'), NAME))} {_number(importance.get('mean')):.0%} "
        f"({_number(importance.get('low')):.0%} to {_number(importance.get('high')):.0%})"
        for importance in objects_in(sweep.get("importances"))
    ]
    if mattered:
        yield ""
        yield f"Most important settings: {', '.join(mattered)}"


def _effects(sweep: Sweep) -> Iterator[str]:
    """Format what each source does, and the weight to try next."""
    effects = objects_in(sweep.get("effects"))
    if not effects:
        return
    yield ""
    yield f"{'EFFECT':<8} {'ON THE TASK':<24} {'IN GENERAL':<24} {'WEIGHT':<8} SOURCE"
    for effect in effects:
        now, then = _number(effect.get("weight")), _number(effect.get("proposed"))
        weight = f"{now:g}" if now == then else f"{now:g} → {then:g}"
        task, general = _interval(effect.get("task")), _interval(effect.get("general"))
        kind = one_line(effect.get("effect"), 8)
        yield f"{kind:<8} {task:<24} {general:<24} {weight:<8} {one_line(effect.get('name'), NAME)}"
    yield "Helps and harms are by these intervals. All of them should be right in 95 % of comparisons; in"
    yield "simulations of uneven runs, up to 7.4 % of comparisons had a false claim."
    yield "The weights are proposals: write them as weight of each data set, and train to see."


def _interval(value: object) -> str:
    if not isinstance(value, dict):
        return "-"
    mean, low, high = (_number(value.get(end)) for end in ("mean", "low", "high"))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(
        f"{key_of(one_line(field, NAME))} = {quoted(value)}" if value is not None else f"no {key_of(field)}"
        for field, value in settings.items()
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _clock(text: object) -> str:
    try:
        return datetime.fromisoformat(str(text)).astimezone().strftime("%a %H:%M")
    except (ValueError, OverflowError):
        return "-"
