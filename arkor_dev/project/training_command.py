"""The command that trains a project (docs/contract.md#training-command), as arguments without a shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.processes.training_runs import Launch

from .node_tools import find_cli, is_typescript, not_installed

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import TrainRequest
    from arkor_dev.core.settings import Settings

NO_COMMAND = (
    "This project has no training command. Either describe a trainer in arkor.toml "
    "(`arkor-dev init` writes one), or install the TypeScript CLI in the project, from the file of its "
    "package, which npm's registry does not have (`npm install FILE.tgz`)."
)

NOT_LOCAL = (
    "Here a TypeScript project trains on the managed backend only. To train it on this machine, describe a "
    "trainer in arkor.toml (`arkor-dev init` writes one); or use the managed backend: arkor-dev --managed"
)

OUTDATED = "The project has changed since it was shown. Check what it would train now, then start it again."


def inside(project: Path, name: str) -> Path:
    """Resolve ``name`` inside ``project``, following symlinks. Raises BadRequestError if it is missing."""
    try:
        path = (project / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise BadRequestError(f"There is no {name!r} in this project.") from None
    if not path.is_relative_to(project.resolve()) or not path.is_file():
        raise BadRequestError(f"{name!r} is not a file inside this project.")
    return path


def training_command(settings: Settings, request: TrainRequest) -> Launch:
    """Choose the command for a ``POST /api/train`` with checked ``settings``. Raises BadRequestError."""
    project = settings.project
    name, trainer, dry_run = request.get("file"), request.get("trainer"), request.get("dryRun", False)
    file = inside(project, name).relative_to(project.resolve()).as_posix() if name else None
    if file is None and os.path.lexists(project / "arkor.toml"):  # reading it reports a missing file
        return _from_toml(settings, request)
    if any(request.get(name) for name in ("settings", "like", "seeds", "parent")):
        raise BadRequestError(
            "Only settings of arkor.toml can be changed for a run. Change these in the trainer's own code."
        )
    declared = file is not None or is_typescript(project)
    cli = find_cli(project)
    if cli is None and not declared:
        raise BadRequestError(NO_COMMAND)
    if settings.local:
        raise BadRequestError(NOT_LOCAL)
    if cli is None:
        raise BadRequestError(not_installed(project))
    if dry_run:
        raise BadRequestError(
            "`arkor start` has no option for a dry run: set `dryRun: true` in the trainer's code."
        )
    # "./" keeps a name that starts with a dash from being read as an option.
    argv = [cli, "start", *([f"./{file}"] if file else [])]
    key = f"file {file}" if file else "file"
    return Launch(argv, key=key, trainer=trainer, file=file, dry_run=False, typescript=True)


def _from_toml(settings: Settings, request: TrainRequest) -> Launch:
    # Imported here: the page's first byte must not wait for the table of settings.
    from arkor_dev.contract.changes import applied, conflict

    from .arkor_toml import choose, load_trainers  # parsed now: the file may have changed since

    revision, dry_run = request.get("revision"), request.get("dryRun", False)
    trainer = choose(load_trainers(settings.project), request.get("trainer"))
    chosen, changes = trainer["name"], request.get("settings", {})
    # With the settings of the parent job the command knows what conflicts.
    if changes and "like" not in request and (wrong := conflict(applied(trainer["config"], changes))):
        raise BadRequestError(wrong)
    # -P: a project's own random.py or datasets/ must not shadow the real ones.
    argv = [sys.executable, "-P", "-m", "arkor_dev", "start", "--project", str(settings.project)]
    option = "--local" if settings.local else "--managed"
    argv.append(option if settings.ssh is None else f"--ssh={settings.ssh}")
    on = request.get("on") or settings.cluster
    argv += [f"--on={on}"] if on else []
    argv += ["--insecure-cluster"] if settings.insecure_cluster else []
    # The command reads the file again, shortly after us.
    argv += [f"--revision={revision}"] if revision else []
    argv += [f"--trainer={chosen}", *(["--dry-run"] if dry_run else [])]
    # One token each, so that no id can be read as an option.
    argv += [f"--like={request['like']}"] if "like" in request else []
    argv += [f"--seeds={request['seeds']}"] if "seeds" in request else []
    argv += [f"--data={path}" for path in request.get("data", ())]
    if "parent" in request:
        parent = request["parent"]
        argv.append(f"--from={parent['jobId']}:{parent.get('step') or 'final'}")
    # Two jobs of one trainer may be repeated at once: the backend's queue runs them one after another.
    key = f"seeds of {request.get('like')}" if "seeds" in request else f"trainer {chosen}"
    return Launch(argv, key=key, trainer=chosen, file=None, dry_run=dry_run, changes=changes)
