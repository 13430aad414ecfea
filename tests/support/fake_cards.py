"""The fake backend's feature ``card``: a card for each job that is given one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from .fake_checks import RefusedError, wrong

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

CARD = """---
# arkor-dev: these lines are generated; text outside them is kept
base_model: "HuggingFaceTB/SmolLM2-135M-Instruct"
library_name: "peft"
pipeline_tag: "text-generation"
license: "apache-2.0"
tags:
- "arkor-studio"
- "lora"
# arkor-dev: end
---

<!-- arkor-dev: generated from provenance.json; text outside these two lines is kept -->
# LoRA adapter of SmolLM2-135M-Instruct

An adapter (LoRA) for SmolLM2-135M-Instruct, as it was after step 60 of 60, made with Arkor Studio.

## What it learned from

90 rows; 12 more were held out for evaluation.

The data set is private and not named here.

## Is it better than its base?

**Better at your task (3.42 → 1.91, only 12 rows), worse in general (2.05 → 2.36).**

| mean loss a token on | base | this | base less this, 95 % interval |
|---|--:|--:|--:|
| 12 held-out rows | 3.420 | 1.910 | 1.210 to 1.800 |
| 64 general questions | 2.050 | 2.360 | -0.390 to -0.220 |

## How to load it

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = "HuggingFaceTB/SmolLM2-135M-Instruct"
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "path/to/this/folder")
```
<!-- arkor-dev: end -->

A word of its maker's own.
"""


class FakeCards:
    """``written`` has the card of each job, and of a checkpoint by its step."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.written: dict[tuple[str, int | None], str] = {}

    def routes(self) -> list[web.RouteDef]:
        """The route of the feature."""
        return [web.get("/v1/jobs/{id}/card", self._get)]

    def write(self, job_id: str, step: int | None = None, text: str = CARD) -> None:
        """A job has a card now."""
        self.written[job_id, step] = text

    async def _get(self, request: web.Request) -> web.Response:
        job, step = self._fake.job_of(request), request.query.get("step")
        if step is not None and not step.isdigit():
            wrong("step has to be a whole number.")
        found = self.written.get((job["id"], None if step is None else int(step)))
        if found is None:
            raise RefusedError(404, "It has no card.")
        return web.json_response({"card": found})
