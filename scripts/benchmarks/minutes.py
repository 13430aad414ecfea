"""Measures the minutes from a press on Run to the verdict, on the example project, through a whole Studio.

Three times: on a machine that has the starter model, soon after the page opened; after the page has been
open as long as one reads it, so that the run's estimate and what it needs of its base are known; and, soon
again, on a machine that has to fetch the model from the package index. Times are those of the job's events,
from the request that a press on Run sends. Beside it, a plain script with TRL's SFTTrainer loads the same
model, trains as many steps on the same rows, evaluates as often, and then measures and asks base and adapter
what the verdict, its answers and the sample answers do: it is compared with the run's end. Parts are those of
the time to the verdict; what comes after it (general and sample answers) is one more.
``python -m benchmarks.minutes trl STEPS`` runs that script, and prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientTimeout

from tests.support.daemon import free_port, running_daemon

from .figures import Figure
from .sides import in_a_process
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "support-bot"
TRAINER: Final = "lighthouse"
STEPS, QUICK_STEPS = 40, 4
FIRST_LOSS: Final = {"present": 6.0, "first": 20.0}
"""Most seconds from Run to the first loss, with the model on the machine and without."""
VERDICT: Final = 1.35
"""Most time from Run to the verdict, as a multiple of the steps' time."""
WHOLE: Final = 100.0
IN_STEPS: Final = ("data", "forward", "backward", "optimizer")
SOON_SECONDS, READ_SECONDS = 20.0, 90.0
"""How long the page is open before Run is pressed."""
CASES: Final = ("present", "read", "trl", "first")
"""The model present, the page read, a TRL script beside the former, and a first run."""
POLL_SECONDS: Final = 3.0
UNLIMITED: Final = ClientTimeout(total=None)
BATCH, RANK, EVERY, ANSWERED, WORDS, SAMPLED, SAMPLE_WORDS = 4, 8, 15, 8, 32, 3, 64


def measure(*, quick: bool, cases: Sequence[str] = ()) -> Iterator[Figure]:
    """Yield the seconds until the first loss and the verdict, their parts, and the same with TRL.

    Only those of ``cases``, by default of all, or of a ``quick`` run's two.
    """
    if unknown := set(cases) - set(CASES):
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    cases = cases or (("present", "trl") if quick else CASES)
    starter()
    steps = QUICK_STEPS if quick else STEPS
    if "present" in cases or "trl" in cases:
        present = asyncio.run(_run(steps, CACHE.parent, SOON_SECONDS))
        yield from _figures("model present", present, FIRST_LOSS["present"])
    if "read" in cases:
        read = asyncio.run(_run(steps, CACHE.parent, READ_SECONDS))
        yield from _figures("page read", read, FIRST_LOSS["present"])
    if "trl" in cases:
        beside = in_a_process("minutes", "trl", steps)
        yield Figure("Run to its end, a TRL script beside", present["end"], "s", beside["whole"], most=1)
        yield Figure("  to the first loss", present["loss"], "s", beside["loss"], most=1)
        yield Figure("  steps alone", present["steps"], "s", beside["steps"], most=1)
    if "first" in cases:
        first = asyncio.run(_run(steps, None, SOON_SECONDS))
        yield from _figures("first run", first, FIRST_LOSS["first"])
        yield Figure("first run: whole", first["end"], "s", most=WHOLE)


def _figures(name: str, found: Mapping[str, Any], most: float) -> Iterator[Figure]:
    yield Figure(f"{name}: Run to first loss", found["loss"], "s", most=most)
    yield Figure(
        f"{name}: Run to verdict, steps alone beside", found["verdict"], "s", found["steps"], most=VERDICT
    )
    for phase, seconds in found["phases"].items():
        yield Figure(f"  of which {phase}", seconds, "s")
    yield Figure("  answers from there to the end", found["end"] - found["verdict"], "s")


async def _run(steps: int, cache: Path | None, reading: float) -> dict[str, Any]:
    """Run the example in a Studio with this cache, or with an empty one; return the times of its events.

    Before, an open Home asks for the run's estimate for as many seconds as ``reading``.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, project = Path(folder, "home"), Path(folder, "project")
        shutil.copytree(EXAMPLE, project)
        if steps != STEPS:
            text = (project / "arkor.toml").read_text()
            (project / "arkor.toml").write_text(text.replace(f"steps = {STEPS}", f"steps = {steps}"))
        env = {"XDG_CACHE_HOME": str(cache or home / ".cache"), "PIP_NO_INDEX": "0", "HF_HUB_OFFLINE": "0"}
        async with running_daemon(home, free_port(), "--local", "--project", str(project), **env) as daemon:
            await daemon.api("GET", "/api/capabilities")
            manifest = await daemon.api("GET", "/api/manifest")
            config = next(each["config"] for each in manifest["trainers"] if each["name"] == TRAINER)
            until = time.monotonic() + reading
            while time.monotonic() < until:
                await daemon.api("POST", "/api/forecast", json={"config": config})
                await asyncio.sleep(POLL_SECONDS)
            body = {"trainer": TRAINER, "revision": manifest["revision"]}
            began = time.time()
            async with daemon.stream("POST", "/api/train", json=body, timeout=UNLIMITED) as output:
                said = (await output.read()).decode(errors="replace")
            jobs = (await daemon.api("GET", "/api/jobs"))["jobs"]
            if not jobs or jobs[0]["status"] != "completed":
                raise SystemExit(f"the run did not complete:\n{said[-2000:]}")
            history = await daemon.text(f"/api/jobs/{jobs[0]['id']}/events")
    return _times(
        began, [json.loads(line[5:]) for line in history.splitlines() if line.startswith("data: {")]
    )


def _times(began: float, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the seconds to the first loss, the verdict and the end, of the steps, and of each phase up to
    the verdict.
    """

    def at(event: Mapping[str, Any]) -> float:
        return datetime.fromisoformat(event["timestamp"]).timestamp() - began

    def first(kind: str, field: str = "type") -> dict[str, Any]:
        return next(event for event in events if event.get("type") == kind and field in event)

    completed = first("training.completed")
    spent = completed["metrics"]["secondsIn"]
    verdict = at(first("evaluation.completed"))
    last = max(at(event) for event in events if event.get("type") == "training.log")
    phases: dict[str, float] = {}
    turns = [event for event in events if event.get("type") == "training.phase"]
    for event, after in zip(turns, [*turns[1:], completed], strict=True):
        name = event["phase"] + (" after the last step" if at(event) > last else "")
        if (seconds := min(at(after), verdict) - at(event)) > 0:
            phases[name] = phases.get(name, 0.0) + seconds
    return {
        "loss": at(first("training.log", "loss")),
        "verdict": verdict,
        "end": at(completed),
        "steps": sum(spent[part] for part in IN_STEPS),
        "phases": {"before the worker": at(turns[0]), **phases},
    }


def trl(steps: int, began: float) -> dict[str, float]:
    """Train and evaluate with TRL as a script would; return the seconds to the first loss, of the steps, and
    in all.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from arkor_dev.local.evaluation.general import questions

    tokenizer = AutoTokenizer.from_pretrained(starter())
    lines = (EXAMPLE / "data" / "chats.jsonl").read_text().splitlines()
    rows = [{"messages": json.loads(line)["messages"]} for line in lines]
    held_out, train = rows[:: len(rows) // 10][:10], rows
    asked = [{"messages": row.messages} for row in questions(24)]
    times: dict[str, float] = {"loss": 0.0, "steps": 0.0}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times["steps"] += time.time() - self.began
            times["loss"] = times["loss"] or time.time() - began

    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(starter(), dtype="bfloat16"),
            args=SFTConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=BATCH,
                eval_strategy="steps",
                eval_steps=EVERY,
                save_strategy="no",
                learning_rate=1e-3,
                warmup_steps=2,
                lr_scheduler_type="cosine",
                bf16=True,
                use_cpu=True,
                activation_checkpointing=False,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(train),
            eval_dataset=Dataset.from_list(held_out),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            callbacks=[Clock()],
        )
        trainer.train()
        general = trainer._prepare_dataset(
            Dataset.from_list(asked), tokenizer, trainer.args, False, None, "general"
        )

        def judge() -> None:
            trainer.evaluate(general)
            for count, words, source in ((SAMPLED, SAMPLE_WORDS, held_out), (ANSWERED, WORDS, asked)):
                _answer(trainer.model, tokenizer, source[:count], words)

        judge()
        with trainer.model.disable_adapter():
            trainer.evaluate()
            judge()
    return {**times, "whole": time.time() - began}


def _answer(model: Any, tokenizer: Any, rows: list[dict[str, Any]], words: int) -> None:
    """Answer the rows' first questions greedily, together."""
    import torch

    tokenizer.padding_side = "left"
    prompts = [[turn for turn in row["messages"] if turn["role"] != "assistant"][:2] for row in rows]
    given = tokenizer.apply_chat_template(
        prompts, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        model.generate(**given, max_new_tokens=words, do_sample=False)


if __name__ == "__main__":
    start = time.time()
    print(json.dumps(trl(int(sys.argv[2]), start)))
