"""Compares jobs' forecasts with their actual memory and time, and runs them with slightly less and more
memory.

Each setting has its own backend, so that no run corrects another's forecast. The limit is on the memory that
a process may allocate (``RLIMIT_DATA``). It needs no privileges, and is set for the backend and inherited by
the training process. It includes memory that is allocated but never touched, and excludes pages of library
files; so the difference, as observed in the run without a limit, is added to the limit.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.resources import available_cores
from tests.local.harness import Backend, until

from .figures import Figure
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STARTER: Final = "smollm2-135m-instruct"
SECOND: Final = "llama-38m"
SECONDS: Final = 600.0
ROWS: Final = 64
WORDS: Final = "the order of a parcel that came late is with us now and will go to you today"
LOOKS: Final = 20
"""Number of samples of a process's memory, 50 ms apart, between two queries of the job's state."""
LIMITS: Final = ((0.9, "failed"), (1.1, "completed"))
"""Fractions of the forecast to which a run is limited, and how it should end."""
MAKE: Final = """
import sys, torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
source, folder = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(source)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=384, intermediate_size=1024, num_hidden_layers=12,
    num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True,
    bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One job of the table; rows have between a third of ``length`` tokens and all of them."""

    model: str
    batch: int
    length: int
    rank: int
    number_format: str
    steps: int = 12

    @property
    def name(self) -> str:
        return f"{self.model[:8]} batch {self.batch} length {self.length} r {self.rank} {self.number_format}"


SETTINGS: Final = (
    Setting(STARTER, 1, 128, 8, "float32", 20),
    Setting(STARTER, 4, 128, 8, "float32"),
    Setting(STARTER, 4, 128, 64, "bfloat16"),
    Setting(STARTER, 8, 256, 16, "bfloat16", 8),
    Setting(STARTER, 2, 512, 8, "float32", 8),
    Setting(STARTER, 4, 512, 8, "bfloat16", 6),
    Setting(STARTER, 2, 1024, 4, "bfloat16", 6),
    Setting(SECOND, 8, 128, 4, "float32", 20),
    Setting(SECOND, 4, 256, 16, "bfloat16", 20),
    Setting(SECOND, 8, 512, 8, "float32", 8),
    Setting(SECOND, 4, 1024, 64, "bfloat16", 8),
    Setting(SECOND, 1, 1024, 8, "float32"),
)
QUICK: Final = (Setting(SECOND, 2, 128, 4, "float32", 3),)


def measure(*, quick: bool, settings: Sequence[Setting] = SETTINGS) -> Iterator[Figure]:
    """Yield four figures per setting, and how many of each were within bounds."""
    good: list[tuple[bool, bool, bool]] = []
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        project = Path(folder) / "project"
        make_model(project / SECOND)
        chosen = QUICK if quick else settings
        for number, setting in enumerate(chosen):
            found = list(one(setting, project, Path(folder) / str(number)))
            yield from found
            memory, seconds, *limits = (bool(figure.met) for figure in found)
            good.append((memory, seconds, all(limits)))
        for place, (what, least) in enumerate((("memory", 1.0), ("time", 0.9), ("limits", 1.0))):
            share = sum(row[place] for row in good) / len(good)
            yield Figure(f"settings whose {what} was as forecast", 100 * share, "%", least=100 * least)


def make_model(folder: Path) -> None:
    """Create the second model: a Llama with 38 M parameters and the starter's tokenizer, in 16 bits like most
    models.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = [sys.executable, "-c", MAKE, str(starter()), str(folder)]
    subprocess.run(arguments, check=True, capture_output=True)


def write_rows(path: Path, length: int) -> None:
    """Write chats of up to about ``length`` tokens: each of these words is one or two."""
    chance = random.Random(length)  # noqa: S311 - rows, no secrets
    words = WORDS.split()
    rows = []
    for number in range(ROWS):
        count = chance.randint(length // 3, length) - 20 if number % 8 else length
        said = [chance.choice(words) for _ in range(max(8, count))]
        half = len(said) // 2
        turns = ("user", said[:half]), ("assistant", said[half:])
        rows.append({"messages": [{"role": role, "content": " ".join(text)} for role, text in turns]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def one(setting: Setting, project: Path, folder: Path) -> Iterator[Figure]:
    """Forecast, run, and run twice more within limits."""
    data = f"data/{setting.length}.jsonl"
    write_rows(project / data, setting.length)
    config = {
        "model": setting.model if setting.model == STARTER else f"./{setting.model}",
        "datasetSource": {"type": "file", "path": data},
        "batchSize": setting.batch,
        "maxLength": setting.length,
        "loraR": setting.rank,
        "numberFormat": setting.number_format,
        "maxSteps": setting.steps,
    }
    # Use training's default number of threads; the harness sets one.
    backend = Backend.start(folder, project, CACHE, OMP_NUM_THREADS=str(available_cores()))
    try:
        began = time.monotonic()
        forecast = until(lambda: known(backend, config), SECONDS)
        asked = time.monotonic() - began
        said = forecast["memory"]["peakBytes"]
        job, spare = run(backend, config)
        took = job["metrics"]["peakBytes"]
        yield Figure(f"{setting.name}: memory", said / 1e9, "GB", took / 1e9, least=0.9, most=1.1)
        seconds = (moment(job["completedAt"]) - moment(job["startedAt"])).total_seconds()
        yield Figure(f"{setting.name}: time", forecast["seconds"], "s", seconds, least=0.85, most=1.15)
        for share, status in LIMITS:
            with limited(backend, round(said * share) + spare):
                held, _ = run(backend, config)
            good = held["status"] == status and (status == "completed" or "memory" in held["error"])
            yield Figure(f"{setting.name}: held to {share:.0%}, {status}", float(good), "", least=1)
        yield Figure(f"{setting.name}: measured in", asked, "s", most=20)
    finally:
        backend.stop()


def known(backend: Backend, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the forecast, once it is measured."""
    forecast: dict[str, Any] = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
    if forecast["state"] == "failed":
        raise RuntimeError(forecast["error"])
    time.sleep(0.5)
    return forecast if forecast["state"] == "measured" else None


def run(backend: Backend, config: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the finished job, and how much more memory its process allocated than it ever held.

    It polls seldom, since that takes processor time from the run's two cores.
    """
    job = backend.submit(config)
    most = {"VmData": 0, "VmHWM": 0}
    while backend.job(job)["status"] in ("queued", "running"):
        pids = backend.processes("arkor_dev.local.training.worker")
        for _ in range(LOOKS):
            for pid in pids:
                with contextlib.suppress(OSError):
                    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                        name, _, value = line.partition(":")
                        if name in most:
                            most[name] = max(most[name], int(value.split()[0]) * 1024)
            time.sleep(0.05)
    return backend.job(job), most["VmData"] - most["VmHWM"]


@contextlib.contextmanager
def limited(backend: Backend, size: int) -> Iterator[None]:
    """Limit the memory of processes that the backend starts within the block."""
    pid = backend.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_DATA)
    resource.prlimit(pid, resource.RLIMIT_DATA, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_DATA, before)


def moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)
