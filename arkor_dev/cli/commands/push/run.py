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
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.commands.export.asking import fetch, finished, is_readable, order, wanted_of
from arkor_dev.cli.commands.export.run import SAME
from arkor_dev.cli.commands.jobs import choose_job, jobs_of, require_sign_in
from arkor_dev.cli.commands.local import size
from arkor_dev.cli.commands.waiting import progress_words, shown_progress
from arkor_dev.cli.consent import can_ask, confirm
from arkor_dev.connection.connect import joined
from arkor_dev.contract.bodies import QUANTIZED_FORMATS, USUAL_QUANTIZATION
from arkor_dev.contract.errors import ArkorError, BackendError, BadRequestError
from arkor_dev.core.plain_text import one_line

from . import hub

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

FOLDER: Final = "push-"
OLD_SECONDS: Final = 2 * 86400
PAUSE_SECONDS: Final = 1.0
"""Pause before the first retry of an interrupted upload; each further pause is twice as long."""
CARD: Final = "README.md"
WEIGHTS: Final = (".safetensors", ".safetensors.index.json", "adapter_config.json")
"""Suffixes of weights that transformers and PEFT load by themselves: they would load both of two formats."""
PUBLIC_HUB: Final = "https://huggingface.co"


async def run_push(settings: Settings, given: Namespace) -> int:
    """Publish a job's export as the ``given`` options say; publish nothing and return 1 if verification
    fails.

    Raises BadRequestError for an impossible request, and passes on errors of the backend and the Hub.
    """
    name = hub.repository(given.repo)
    hub.require_library()
    if not given.yes and (given.json or not can_ask()):
        raise BadRequestError(f"{name} would be published, but there is no terminal to ask at: add --yes.")
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        chosen = choose_job(await jobs_of(backend), given.job)
        with shown_progress() as show:
            show("Contacting the Hub")
            there = await hub.asked({"do": "look", "repo": name}, lambda _: None)
        if there["exists"] and given.private and not there["private"]:
            raise BadRequestError(
                f"{name} exists and is public. Make it private on the Hub first, or choose another name."
            )
        wanted = wanted_of(chosen, given)
        export, ours = await _export(backend, chosen, wanted)
        try:
            proof = export["proof"]
            if proof.get("verdict") != SAME and not given.force:
                sentence = one_line(proof.get("sentence"), 500)
                print(f"{sentence} Nothing was published. To publish anyway, add --force.")  # noqa: T201
                return 1
            with _room(settings.cache, export["bytes"]) as folder:
                await fetch(backend, chosen["id"], export, folder)
                names = sorted(path.name for path in folder.iterdir())
                remove = _mixed_up(there["files"], names, replace=given.replace)
                what = _what(there, name, chosen, export, given, remove)
                if not confirm(what, "Publish it?", yes=given.yes):
                    print("Nothing was published.")  # noqa: T201
                    return 0
                places = (settings.project, settings.local_data, settings.cache)
                upload = {
                    "do": "push",
                    "repo": name,
                    # What was confirmed as private must still be private.
                    "private": given.private or bool(there["private"]),
                    "folder": str(folder),
                    "files": names,
                    "remove": remove,
                    "places": [str(place.absolute()) for place in places],
                    "message": f"{one_line(chosen.get('name'), 60)}, {_words(export)}",
                    "pause": PAUSE_SECONDS,
                }
                try:
                    done = await _pushed(upload)
                except BadRequestError:
                    raise
                except BaseException:
                    ours = False  # keep it: the next push continues with it
                    raise
        finally:
            if ours:
                with contextlib.suppress(ArkorError):
                    await asyncio.shield(backend.delete_export(chosen["id"], str(export["id"])))
    url = f"{there['endpoint']}/{name}"
    told = {"name": name, "url": url, "created": not there["exists"], "files": names, "removed": remove}
    repository = told | {key: done.get(key) for key in ("private", "commit", "changed", "sent")}
    if given.json:
        print(json.dumps({"export": export, "repository": repository}, indent=2))  # noqa: T201
    else:
        print("\n".join(_lines(repository, export, there["endpoint"])))  # noqa: T201
    return 0


async def _export(
    backend: Backend, job: dict[str, Any], wanted: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Return an export as requested, and whether it was made now rather than found."""
    for export in await _exports(backend, job["id"]):
        if export.get("state") != "completed" or _asked_for(export) != _asked_for(wanted):
            continue
        if not is_readable(export):
            continue
        if wanted["format"] != "adapter" or await _has_card_of_now(backend, job["id"], export):
            return export, False
    made = await order(backend, job["id"], wanted)
    try:
        return await finished(backend, job["id"], made["id"]), True
    except BaseException:
        with contextlib.suppress(ArkorError):
            await asyncio.shield(backend.delete_export(job["id"], str(made["id"])))
        raise


async def _exports(backend: Backend, job_id: str) -> list[dict[str, Any]]:
    try:
        listed = json.loads((await backend.list_exports(job_id)).body)["exports"]
        return [each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError(
            "The backend's response about the exports is unreadable. Try again later."
        ) from None
    except ArkorError:  # a backend without the feature refuses the request with a reason
        return []


def _asked_for(export: dict[str, Any]) -> tuple[object, ...]:
    form = export.get("format")
    usual = USUAL_QUANTIZATION if form in QUANTIZED_FORMATS else None
    bits = export.get("quantization", usual)
    return form, export.get("step"), export.get("strength", 1), bits


async def _has_card_of_now(backend: Backend, job_id: str, export: dict[str, Any]) -> bool:
    """Return whether the adapter's card is up to date: evaluations and people change it."""
    step = export.get("step")
    try:
        answer = await backend.get_card(job_id, {} if step is None else {"step": str(step)})
        card = json.loads(answer.body)["card"]
    except (ArkorError, ValueError, KeyError, TypeError):
        return True
    now = hashlib.sha256(str(card).encode()).hexdigest()
    return any(each.get("name") == CARD and each.get("sha256") == now for each in export["files"])


@contextlib.contextmanager
def _room(cache: Path, needed: float) -> Iterator[Path]:
    """Yield a temporary folder with ``needed`` free bytes; sweep what killed runs have left."""
    cache.mkdir(parents=True, exist_ok=True)
    for path in cache.glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path)
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise BadRequestError(
            f"The files take {size(needed)}, and the disk has {size(free)} free: make room first."
        )
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=cache) as made:
        yield Path(made)


def _mixed_up(there: list[str], names: list[str], *, replace: bool) -> list[str]:
    """Return weights in the repository that would be loaded beside ours. Raises BadRequestError unless they
    may be deleted.
    """
    if not any(name.endswith(WEIGHTS) for name in names):
        return []
    others = [name for name in there if "/" not in name and name.endswith(WEIGHTS) and name not in names]
    if others and not replace:
        shown = ", ".join(one_line(name, 100) for name in others[:5])
        raise BadRequestError(
            f"The repository has other weights, which would be loaded as well: {shown}. Choose another "
            f"name, or add --replace to remove them."
        )
    return others


def _what(
    there: dict[str, Any],
    name: str,
    job: dict[str, Any],
    export: dict[str, Any],
    given: Namespace,
    remove: list[str],
) -> str:
    """Describe what is about to be published, where and for whom."""
    private = there["private"] if there["exists"] else given.private
    whom = "private" if private else "public, visible to everyone"
    how = "as a new commit of" if there["exists"] else "as"
    files = len(export["files"])
    gone = f" {', '.join(remove[:5])} will be removed there." if remove else ""
    return (
        f"{one_line(job['id'], 60)} ({one_line(job.get('name'), 60)}), {_words(export)}, "
        f"{size(export['bytes'])} in {files} files, will be published {how} "
        f"{there['endpoint']}/{name}: {whom}, by {one_line(there['user'], 60)}.{gone}"
    )


def _words(export: dict[str, Any]) -> str:
    """Describe the format, its precision, adapter strength and step."""
    step, bits, strength = (export.get(key) for key in ("step", "quantization", "strength"))
    words = one_line(export.get("format"), 20)
    words += "" if bits is None else f" {one_line(bits, 20)}"
    words += "" if strength is None else f" at strength {one_line(strength, 20)}"
    return words + ("" if step is None else f" of step {one_line(step, 20)}")


async def _pushed(wanted: dict[str, Any]) -> dict[str, Any]:
    with shown_progress() as show:
        return await hub.asked(wanted, lambda told: show(progress_words({"progress": told}, "Uploading")))


def _lines(repository: dict[str, Any], export: dict[str, Any], endpoint: str) -> list[str]:
    name = repository["name"]
    if not repository["changed"]:
        return [f"{repository['url']} is up to date: there was nothing to publish."]
    whom = "private" if repository["private"] else "public"
    what = f"{_words(export)}, {size(export['bytes'])}"
    lines = [
        f"{repository['url']} ({whom}): {what}, commit {one_line(repository['commit'], 40)}",
        one_line(export["proof"].get("sentence"), 500),
    ]
    if endpoint != PUBLIC_HUB:
        return lines
    usage = {
        "adapter": [f'In Python: PeftModel.from_pretrained(base, "{name}")'],
        "merged": [f'In Python: AutoModelForCausalLM.from_pretrained("{name}")', f"vLLM: vllm serve {name}"],
        "gguf": [f"llama.cpp: llama-cli -hf {name}", f"Ollama: ollama run hf.co/{name}"],
        "gguf-lora": [f"Fetch it: hf download {name} adapter.gguf"],
        "ollama": [f"Ollama: ollama run hf.co/{name}"],
    }
    return [*lines, "", *usage.get(str(export.get("format")), [])]
