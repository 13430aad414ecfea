"""One side of the inference bench in its own process: ``python -m benchmarks.answerers SIDE MODEL TOKENS``.

``ours`` is the product's loop with its engine, ``generate`` transformers by itself in the number format
that is a fourth argument, ``llama`` the loop of llama-cpp-python, whose MODEL is a GGUF file. Prints one
line of JSON: tokens a second of one answer, of 4 and of 8 together, also where they are held to a schema,
seconds to the first token of a first and of a next question, seconds from a stop until the slot is free, and
the peak of memory in MiB; a side leaves out what it does not do.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.peak_memory import peak

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS: Final = (1, 4, 8)
HELD: Final = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}
"""A schema that an answer of any length can go on with: names are free text, as in most."""


def questions(count: int) -> list[list[dict[str, str]]]:
    """Conversations that share no more than their beginning."""
    return [
        [{"role": "user", "content": f"Tell a long story about {number} parrots and their ledger."}]
        for number in range(count)
    ]


def ours(model: Path, tokens: int) -> dict[str, Any]:
    """The loop as the worker has it, turned by hand."""
    from tests.local.inference.asking import Asking, ask

    asking = Asking()
    engine = asking.engine
    asking.answer(ask(model, None, messages=questions(1)[0], maxTokens=4))
    engine.ends.clear()  # every answer has its full length
    figures: dict[str, Any] = {"format": engine.facts["precision"]}
    held = {"schema": json.dumps({**HELD, "minItems": 1000}), "field": "responseFormat"}
    asking.answer(ask(model, None, messages=questions(1)[0], maxTokens=4, format=held))
    for count in COUNTS:
        for name, wanted in (("rate", None), ("held", held)):
            engine._remembered.clear()
            asked = [
                ask(model, None, messages=each, maxTokens=tokens, format=wanted) for each in questions(count)
            ]
            told = [asking.ask(each) for each in asked]
            began = time.perf_counter()
            asking.finish(*told)
            figures[f"{name}{count}"] = count * tokens / (time.perf_counter() - began)
    engine._remembered.clear()
    first = ask(model, None, messages=questions(1)[0], maxTokens=tokens)
    said, done = asking.answer(first)
    then = [{"role": "assistant", "content": said}, {"role": "user", "content": "And then?"}]
    _, after = asking.answer({**first, "messages": [*first["messages"], *then]})
    figures |= {"first": done["firstTokenSeconds"], "next": after["firstTokenSeconds"]}
    running = asking.ask(first)
    asking.turn(3)
    # A stop is heard when the step that is under way has been made: at the worst it has just begun.
    began = time.perf_counter()
    asking.turn()
    running.stop.set()
    asking.turn()
    figures["stop"] = time.perf_counter() - began
    assert running.over
    return figures


def generate(model: Path, tokens: int, number: str) -> dict[str, Any]:
    """transformers by itself: padded batches that begin and end together."""
    import torch

    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.chat_template import render

    base = load_base(model)
    base.model.to(getattr(torch, number)).eval()
    base.tokenizer.padding_side = "left"

    def answer(count: int, length: int) -> float:
        texts = [render(base.tokenizer, each, cue=True) for each in questions(count)]
        given = base.tokenizer(texts, add_special_tokens=False, return_tensors="pt", padding=True)
        given.pop("token_type_ids", None)
        began = time.perf_counter()
        base.model.generate(
            **given.to(base.device), max_new_tokens=length, min_new_tokens=length, do_sample=False
        )
        return time.perf_counter() - began

    answer(1, 4)
    rates = {f"rate{count}": count * tokens / answer(count, tokens) for count in COUNTS}
    return {**rates, "first": answer(1, 1)}


def llama(gguf: Path, tokens: int) -> dict[str, Any]:
    """llama-cpp-python's own loop, one answer at a time."""
    import llama_cpp

    model = llama_cpp.Llama(str(gguf), n_ctx=2048, verbose=False)
    prompt = model.tokenize(questions(1)[0][0]["content"].encode())
    began, times = time.perf_counter(), []
    for _, _ in zip(range(tokens), model.generate(prompt, temp=0.0), strict=False):
        times.append(time.perf_counter() - began)
    return {"first": times[0], "rate1": (len(times) - 1) / (times[-1] - times[0])}


def main() -> None:
    side, place, tokens, *more = sys.argv[1:]
    sides: dict[str, Callable[..., dict[str, Any]]] = {"ours": ours, "generate": generate, "llama": llama}
    figures = sides[side](Path(place), int(tokens), *more)
    print(json.dumps({**figures, "peak": peak() / 2**20}))


if __name__ == "__main__":
    main()
