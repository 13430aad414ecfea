"""Measures a classifier that labels one short text: ``python -m benchmarks.one_text engine|endpoint TIMES``.

``engine`` alternates the inference worker's engine with transformers and PEFT on one thread, for the same
adapter of random weights, and compares processor time and probabilities. ``endpoint`` trains for two steps
and measures requests to ``/v1/classify`` by the clock.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from .labeled_texts import labeled_texts
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT: Final = "My parcel has not arrived, and nobody answers."
LABELS: Final = ("billing", "other", "password", "return", "shipping")
WARM_UP: Final = 3


def main() -> None:
    """Print the figures of a side as the last line."""
    side, times = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps((_engine if side == "engine" else _endpoint)(Path(folder), times)))


def _engine(folder: Path, times: int) -> dict[str, float]:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    from arkor_dev.local.inference.messages import AnswerRequest
    from arkor_dev.local.inference.transformers_engine import TransformersEngine
    from arkor_dev.local.modeling.classes import Classes

    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_pretrained(
        starter(), num_labels=len(LABELS), dtype="float32"
    )
    model = get_peft_model(base, LoraConfig(r=8, target_modules="all-linear", task_type="SEQ_CLS")).eval()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    Classes(LABELS, (1,) * len(LABELS)).write(folder)
    engine = TransformersEngine()
    request = AnswerRequest(base=str(starter()), name="starter", adapter=str(folder), texts=[TEXT])
    key = engine.base_key_of(request)

    def ours() -> list[float]:
        return engine.classify(request, key, lambda _: None, lambda: False)[0].probabilities[0]

    def theirs() -> list[float]:
        with torch.inference_mode():
            logits = model(**engine.tokenizer(TEXT, return_tensors="pt")).logits
        found: list[float] = logits.softmax(-1)[0].tolist()
        return found

    apart = max(abs(one - other) for one, other in zip(ours(), theirs(), strict=True))
    seconds: dict[Callable[[], list[float]], list[float]] = {ours: [], theirs: []}
    for turn in range(WARM_UP + times):
        for side, taken in seconds.items():
            torch.set_num_threads(1)
            began = time.process_time()
            side()
            if turn >= WARM_UP:
                taken.append(time.process_time() - began)
    return {
        "tokens": len(engine.tokenizer(TEXT)["input_ids"]),
        "ours": median(seconds[ours]),
        "best": min(seconds[ours]),
        "theirs": median(seconds[theirs]),
        "theirBest": min(seconds[theirs]),
        "apart": apart,
    }


def _endpoint(folder: Path, times: int) -> dict[str, float]:
    from tests.local.harness import Backend

    project = folder / "bench"
    (project / "data").mkdir(parents=True)
    rows = "".join(f"{json.dumps(row)}\n" for row in labeled_texts("glosses", 24))
    (project / "data" / "texts.jsonl").write_text(rows)
    config: dict[str, Any] = {
        "method": "classify",
        "model": str(starter()),
        "datasetSource": {"type": "file", "path": "data/texts.jsonl"},
        "maxSteps": 2,
        "maxLength": 32,
    }
    backend = Backend.start(folder / "data", project, CACHE)
    try:
        job = backend.submit(config)
        while (state := backend.job(job)["status"]) in ("queued", "running"):
            time.sleep(1)
        if state != "completed":
            raise SystemExit(backend.job(job).get("error"))
        target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
        endpoint = {"slug": "bench", "target": target, "authMode": "none", "runRetentionMode": "unlimited"}
        backend.call("POST", "/v1/endpoints", endpoint)
        seconds = []
        for _ in range(WARM_UP + times):
            began = time.perf_counter()
            answer = backend.call("POST", "/v1/serve/bench/classify", {"input": TEXT})
            seconds.append(time.perf_counter() - began)
            assert answer.status == 200, answer.body
    finally:
        backend.stop()
    return {"p50": median(seconds[WARM_UP:]), "best": min(seconds)}


if __name__ == "__main__":
    main()
