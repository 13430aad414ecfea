"""Publishes a job's result on the Hugging Face Hub: exports, verifies, confirms and uploads it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.commands.jobs import require_sign_in
from arkor_dev.cli.commands.waiting import shown_progress
from arkor_dev.cli.consent import can_ask, confirm
from arkor_dev.client.background_work import export_words, progress_words
from arkor_dev.client.export_usage import lines_on_hub, model_name
from arkor_dev.client.exports import SAME, fetch, finished, is_export, is_readable, order, request_of, step_of
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.bodies import USUAL_QUANTIZATION
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError
from arkor_dev.contract.export_formats import QUANTIZED_FORMATS
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

from . import hub
from .messages import Pushed

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.client.exports import ExportOrder
    from arkor_dev.contract.shapes import Export, Job
    from arkor_dev.core.settings import Settings

    from .messages import PushOrder, Repository

FOLDER: Final = "push-"
OLD_SECONDS: Final = 2 * 86400
PAUSE_SECONDS: Final = 1.0
"""Pause before the first retry of an interrupted upload; each further pause is twice as long."""
CARD: Final = "README.md"
WEIGHTS: Final = (".safetensors", ".safetensors.index.json", "adapter_config.json")
"""Suffixes of weights that transformers and PEFT load by themselves: they would load both of two formats."""
PUBLIC_HUB: Final = "https://huggingface.co"


class Publication(Pushed):
    """What ``--json`` prints: the repository ``name`` at ``url``, with the files published and removed."""

    name: str
    url: str
    created: bool
    files: list[str]
    removed: list[str]


async def run_push(settings: Settings, arguments: Namespace) -> int:
    """Publish a job's export as the ``arguments`` options say; publish nothing and return 1 if verification
    fails.

    Raises BadRequestError for an impossible request, and passes on errors of the backend and the Hub.
    """
    name = hub.repository(arguments.repo)
    hub.require_library()
    if not arguments.yes and (arguments.json or not can_ask()):
        raise BadRequestError(f"{name} would be published, but there is no terminal to ask at: add --yes.")
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        chosen = choose_job(await jobs_of(backend), arguments.job)
        with shown_progress() as show:
            show("Contacting the Hub")
            published = await hub.run_uploader({"do": "look", "repo": name}, lambda _: None)
        if published["exists"] and arguments.private and not published["private"]:
            raise BadRequestError(
                f"{name} exists and is public. Make it private on the Hub first, or choose another name."
            )
        request = request_of(
            arguments.format, step=step_of(chosen, arguments.checkpoint),
            quantization=arguments.quantization, strength=arguments.strength,
        )  # fmt: skip
        export, is_temporary = await _export(backend, chosen, request)
        try:
            proof = export["proof"]
            if proof.get("verdict") != SAME and not arguments.force:
                sentence = one_line(proof.get("sentence"), 500)
                print(f"{sentence} Nothing was published. To publish anyway, add --force.")  # noqa: T201
                return 1
            with _scratch_folder(settings.cache, export["bytes"]) as folder:
                await fetch(backend, chosen["id"], export, folder)
                names = sorted(file["name"] for file in export["files"])
                remove = _mixed_up(published["files"], names, replace=arguments.replace)
                question = _question(published, name, chosen, export, arguments, remove)
                if not confirm(question, "Publish it?", yes=arguments.yes):
                    print("Nothing was published.")  # noqa: T201
                    return 0
                paths = (settings.project, settings.local_data, settings.cache)
                upload: PushOrder = {
                    "do": "push",
                    "repo": name,
                    # What was confirmed as private must still be private.
                    "private": arguments.private or bool(published["private"]),
                    "folder": str(folder),
                    "files": names,
                    "remove": remove,
                    "places": [str(private_path.absolute()) for private_path in paths],
                    "message": f"{one_line(chosen.get('name'), 60)}, {_words(export)}",
                    "pause": PAUSE_SECONDS,
                }
                try:
                    done = await _pushed(upload)
                except BadRequestError:
                    raise
                except BaseException:
                    is_temporary = False  # keep it: the next push continues with it
                    raise
        finally:
            if is_temporary:
                with contextlib.suppress(ArkorError):
                    await asyncio.shield(backend.delete_export(chosen["id"], str(export["id"])))
    url = f"{published['endpoint']}/{name}"
    repository: Publication = {
        "name": name,
        "url": url,
        "created": not published["exists"],
        "files": names,
        "removed": remove,
        "private": done["private"],
        "commit": done["commit"],
        "changed": done["changed"],
        "sent": done["sent"],
    }
    if arguments.json:
        print(json.dumps({"export": export, "repository": repository}, indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(repository, chosen, export, published["endpoint"])))  # noqa: T201
    return 0


async def _export(backend: Backend, job: Job, request: ExportOrder) -> tuple[Export, bool]:
    """Return an export as requested, and whether it was made now rather than found."""
    for export in await _exports(backend, job["id"]):
        if export.get("state") != "completed" or _asked_for(export) != _asked_for(request):
            continue
        if not is_readable(export):
            continue
        if request["format"] != "adapter" or await _has_card_of_now(backend, job["id"], export):
            return export, False
    ordered = await order(backend, job["id"], request)
    try:
        with shown_progress() as show:
            export = await finished(
                backend, job["id"], ordered["id"], on_progress=lambda now: show(export_words(now))
            )
        return export, True
    except BaseException:
        with contextlib.suppress(ArkorError):
            await asyncio.shield(backend.delete_export(job["id"], str(ordered["id"])))
        raise


async def _exports(backend: Backend, job_id: str) -> list[Export]:
    try:
        entries = json.loads((await backend.list_exports(job_id)).body)["exports"]
        return [entry for entry in entries if is_export(entry)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError(
            "The backend's response about the exports is unreadable. Try again later."
        ) from None
    except ArkorError:  # a backend without the feature refuses the request with a reason
        return []


def _asked_for(export: Export | ExportOrder) -> tuple[object, ...]:
    form = export.get("format")
    usual = USUAL_QUANTIZATION if form in QUANTIZED_FORMATS else None
    bits = export.get("quantization", usual)
    return form, export.get("step"), export.get("strength", 1), bits


async def _has_card_of_now(backend: Backend, job_id: str, export: Export) -> bool:
    """Return whether the adapter's card is up to date: evaluations and people change it."""
    step = export.get("step")
    try:
        answer = await backend.get_card(job_id, {} if step is None else {"step": str(step)})
        card = json.loads(answer.body)["card"]
    except (ArkorError, ValueError, KeyError, TypeError):
        return True
    now = hashlib.sha256(str(card).encode()).hexdigest()
    return any(file.get("name") == CARD and file.get("sha256") == now for file in export["files"])


@contextlib.contextmanager
def _scratch_folder(cache: Path, needed: float) -> Iterator[Path]:
    """Yield a temporary folder with ``needed`` free bytes; sweep what killed runs have left."""
    cache.mkdir(parents=True, exist_ok=True)
    for path in cache.glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path)
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise BadRequestError(
            f"The files take {format_bytes(needed)}, and the disk has {format_bytes(free)} free: make room "
            "first."
        )
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=cache) as folder:
        yield Path(folder)


def _mixed_up(remote_names: list[str], names: list[str], *, replace: bool) -> list[str]:
    """Return weights in the repository that would be loaded beside ours. Raises BadRequestError."""
    if not any(name.endswith(WEIGHTS) for name in names):
        return []
    other_weights = [
        name for name in remote_names if "/" not in name and name.endswith(WEIGHTS) and name not in names
    ]
    if other_weights and not replace:
        examples = ", ".join(one_line(name, 100) for name in other_weights[:5])
        raise BadRequestError(
            f"The repository has other weights, which would be loaded as well: {examples}. Choose another "
            f"name, or add --replace to remove them."
        )
    return other_weights


def _question(
    repository: Repository,
    name: str,
    job: Job,
    export: Export,
    arguments: Namespace,
    remove: list[str],
) -> str:
    """Describe what is about to be published, where and for whom."""
    private = repository["private"] if repository["exists"] else arguments.private
    visibility = "private" if private else "public, visible to everyone"
    commit_text = "as a new commit of" if repository["exists"] else "as"
    files = len(export["files"])
    removal = f" {', '.join(remove[:5])} will be removed there." if remove else ""
    return (
        f"{one_line(job['id'], 60)} ({one_line(job.get('name'), 60)}), {_words(export)}, "
        f"{format_bytes(export['bytes'])} in {files} files, will be published {commit_text} "
        f"{repository['endpoint']}/{name}: {visibility}, by {one_line(repository['user'], 60)}.{removal}"
    )


def _words(export: Export) -> str:
    """Describe the format, its precision, adapter strength and step."""
    step, bits, strength = (export.get(key) for key in ("step", "quantization", "strength"))
    words = one_line(export.get("format"), 20)
    words += "" if bits is None else f" {one_line(bits, 20)}"
    words += "" if strength is None else f" at strength {one_line(strength, 20)}"
    return words + ("" if step is None else f" of step {one_line(step, 20)}")


async def _pushed(order: PushOrder) -> Pushed:
    with shown_progress() as show:
        return await hub.run_uploader(
            order, lambda progress: show(progress_words({"progress": progress}, "Uploading"))
        )


def _lines(repository: Publication, job: Job, export: Export, endpoint: str) -> list[str]:
    name = repository["name"]
    if not repository["changed"]:
        return [f"{repository['url']} is up to date: there was nothing to publish."]
    visibility = "private" if repository["private"] else "public"
    contents = f"{_words(export)}, {format_bytes(export['bytes'])}"
    lines = [
        f"{repository['url']} ({visibility}): {contents}, commit {one_line(repository['commit'], 40)}",
        one_line(export["proof"].get("sentence"), 500),
    ]
    if endpoint != PUBLIC_HUB:
        return lines
    usage = lines_on_hub(export, name, model_name(job.get("name")))
    return [*lines, "", *(one_line(line, 500) for line in usage)] if usage else lines
