"""Prints commands that use an export in other programs, and registers it in a local Ollama."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small

if TYPE_CHECKING:
    from pathlib import Path

OLLAMA: Final = "ollama"
CREATE_SECONDS: Final = 3600
RANKS: Final = (16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM accepts (0.32); the first is its default limit."""
BEGUN_IN_THE_BASE: Final = ("pissa", "olora")


def model_name(name: object) -> str:
    """Convert a job's name to a valid Ollama model name."""
    plain = re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")
    return plain[:40].strip("-") or "arkor-model"


def lines_for(form: object, folder: Path, name: str) -> list[str]:
    """Return a command for each program that reads ``form``, for the files in ``folder``."""
    place, model, adapter = (
        shlex.quote(str(path)) for path in (folder, folder / "model.gguf", folder / "adapter.gguf")
    )
    python = json.dumps(str(folder))
    match form:
        case "adapter":
            return [f"In Python: PeftModel.from_pretrained(base, {python})", _vllm(folder, f"{name}={place}")]
        case "merged":
            return [
                f"In Python: AutoModelForCausalLM.from_pretrained({python})",
                f"vLLM: vllm serve {place}",
            ]
        case "gguf":
            return [
                f"llama.cpp: llama-cli -m {model}",
                f"LM Studio: lms import {model}",
                f"In Python: llama_cpp.Llama(model_path={json.dumps(str(folder / 'model.gguf'))})",
            ]
        case "gguf-lora":
            return [
                f"llama.cpp: llama-cli -m BASE.gguf --lora {adapter}",
                f"In Python: llama_cpp.Llama(BASE, lora_path={json.dumps(str(folder / 'adapter.gguf'))})",
            ]
        case "ollama":
            create = f"ollama create {name} -f {shlex.quote(str(folder / 'Modelfile'))}"
            return [f"Ollama: {create}", f"Then: ollama run {name}"]
    return []


def _vllm(folder: Path, named: str) -> str:
    """Return vLLM's command for the adapter in ``folder``, or advice if vLLM rejects the adapter."""
    try:
        told: Any = json.loads(read_small(folder / "adapter_config.json"))
    except (OSError, ValueError):
        told = None
    adapter: dict[str, Any] = told if isinstance(told, dict) else {}
    patterns = adapter.get("rank_pattern")
    ranks = [adapter.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    rank = max((each for each in ranks if isinstance(each, int)), default=0)
    begun = adapter.get("init_lora_weights")
    if (
        adapter.get("use_dora")
        or adapter.get("modules_to_save")
        or (isinstance(begun, str) and begun.startswith(BEGUN_IN_THE_BASE))
        or rank > RANKS[-1]
    ):
        return "vLLM: not possible with this kind of adapter; export the job with --format merged"
    most = next(each for each in RANKS if each >= rank)
    wide = "" if most == RANKS[0] else f" --max-lora-rank {most}"
    return f"vLLM: vllm serve BASE --enable-lora{wide} --lora-modules {named}"


def create_in_ollama(folder: Path, name: str) -> str | None:
    """Create the model ``name`` in Ollama; return a sentence on the outcome, or None without Ollama."""
    program = shutil.which(OLLAMA)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "create", name, "-f", str(folder / "Modelfile")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CREATE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Ollama rejected it: {error}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return f"Ollama rejected it: {said[-1] if said else f'exit status {done.returncode}'}"
    return f"Added to Ollama as {name}: ollama run {name}"
