"""``arkor-dev export``: writes a job's result for other programs, verified against the trained model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.commands.jobs import require_sign_in
from arkor_dev.cli.commands.waiting import shown_progress
from arkor_dev.client.background_work import export_words
from arkor_dev.client.export_usage import lines_for, model_name
from arkor_dev.client.exports import (
    LINE,
    SAME,
    fetch,
    finished,
    order,
    replace_folder,
    request_of,
    step_of,
    target_of,
    temporary_folder_beside,
)
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

from .ollama import create_in_ollama

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from arkor_dev.contract.shapes import Export, ExportProof
    from arkor_dev.core.settings import Settings

UNVERIFIED: Final = "The files in {target} have not been verified: do not rely on them. {why}"


async def run_export(settings: Settings, arguments: Namespace) -> int:
    """Export a job into a folder as the ``arguments`` options say; return 1 if verification fails.

    The folder appears complete or not at all, as soon as the files are written; verification follows. Raises
    BadRequestError for an impossible request, and passes on the backend's errors.
    """
    if arguments.out is None:
        raise BadRequestError("Name a folder to write to: arkor-dev export JOB --out FOLDER.")
    target = target_of(arguments.out, replace=arguments.replace)
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        chosen = choose_job(await jobs_of(backend), arguments.job)
        request = request_of(
            arguments.format, step=step_of(chosen, arguments.checkpoint),
            quantization=arguments.quantization, strength=arguments.strength,
        )  # fmt: skip
        export = await order(backend, chosen["id"], request, attended=True)
        arrived = False

        async def take(export: Export) -> None:
            nonlocal arrived
            show("")
            with temporary_folder_beside(target) as folder:
                await fetch(backend, chosen["id"], export, folder)
                replace_folder(folder, target)
            arrived = True
            if not arguments.json:
                print("\n".join(_file_lines(export, target)), flush=True)  # noqa: T201

        try:
            with shown_progress() as show:
                export = await finished(
                    backend, chosen["id"], export["id"], take, lambda now: show(export_words(now))
                )
        except BaseException as fault:
            if arrived:
                reason = (
                    one_line(fault.text, LINE) if isinstance(fault, ArkorError) else "It was interrupted."
                )
                print(UNVERIFIED.format(target=one_line(target, LINE), why=reason), file=sys.stderr)  # noqa: T201
            raise
        finally:
            # Don't keep a second copy of what is here; leave nothing behind after an interruption.
            with contextlib.suppress(ArkorError):
                await asyncio.shield(backend.delete_export(chosen["id"], str(export["id"])))
    proof = export["proof"]  # `finished` has checked that it is there
    is_same, name = proof.get("verdict") == SAME, model_name(chosen.get("name"))
    in_ollama = None
    if is_same and arguments.format == "ollama":
        in_ollama = await asyncio.to_thread(create_in_ollama, target, name)
    if arguments.json:
        print(json.dumps({"export": export, "path": str(target)}, indent=2))  # noqa: T201
    else:
        lines = _proof_lines(proof, is_same=is_same)
        if in_ollama is not None:
            lines += ["", one_line(in_ollama, LINE)]
        elif is_same:
            lines += ["", *(one_line(line, 2 * LINE) for line in lines_for(export, target, name))]
        print("\n".join(lines))  # noqa: T201
    return 0 if is_same else 1


def _file_lines(export: Export, target: Path) -> list[str]:
    path = one_line(target, LINE)
    step = export.get("step")
    of = "" if step is None else f" of step {one_line(step, 20)}"
    quantization = export.get("quantization")
    bits = "" if quantization is None else f" {one_line(quantization, 20)}"
    size = format_bytes(float(export.get("bytes") or 0))
    return [
        f"{path}: {one_line(export.get('format'), 20)}{bits}{of}, {size}",
        *_hashes(export),
    ]


def _proof_lines(proof: ExportProof, *, is_same: bool) -> list[str]:
    fault_list: object = proof.get("faults")
    faults = fault_list if isinstance(fault_list, list) else []
    sentence = one_line(proof.get("sentence"), 500)
    return [
        f"Verified. {sentence}" if is_same else f"Do not use these files. {sentence}",
        *(f"  {one_line(fault, 500)}" for fault in faults[:10]),
    ]


def _hashes(export: Export) -> list[str]:
    """Return the hash of each weights file, for people to compare."""
    return [
        f"  {one_line(entry.get('name'), 100)}  sha256 {one_line(entry.get('sha256'), 64)}"
        for entry in export.get("files", ())
        if str(entry.get("name")).endswith((".gguf", ".safetensors"))
    ]
