"""Runs one side of the inference benchmark in a separate process: ``python -m benchmarks.answerers SIDE MODEL
TOKENS …``.

``ours`` is the product's loop with its exact engine (and an adapter's folder), ``quick`` the loop with
llama.cpp (a GGUF file, the adapter's folder, the adapter as GGUF), ``generate`` transformers' own
``generate`` (in a given dtype, with that adapter), ``llama`` the loop of llama-cpp-python, whose MODEL is a
GGUF file; ``adapter`` writes an adapter into a folder. Prints one line of JSON: tokens per second for 1, 4
and 8 concurrent answers, with and without a schema, and for one with the adapter; seconds to the first token
of a first and of a follow-up question; seconds from a stop until the slot is free; and the memory peak in
MiB. Figures that a side does not support are omitted.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.inference.structured_output.request import OutputFormat
from arkor_dev.local.workers.resources import peak_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.inference.messages import AnswerRequest

COUNTS: Final = (1, 4, 8)
HELD: Final = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}
"""A schema that allows answers of any length, with free text as in most schemas."""


def questions(count: int) -> list[list[dict[str, object]]]:
    """Return conversations that share only their beginning."""
    return [
        [{"role": "user", "content": f"Tell a long story about {number} parrots and their ledger."}]
        for number in range(count)
    ]


def ours(model: Path, tokens: int, adapter: str) -> dict[str, Any]:
    """Measure the exact engine in the worker's loop, whose turns are called explicitly."""
    from tests.local.inference.asking import Asking, ask

    asking = Asking()
    engine = asking.engine
    return looped(
        asking, tokens, ask(model, None), ask(model, Path(adapter)), lambda: engine._prompt_cache.clear()
    )


def quick(model: Path, tokens: int, gguf: str, adapter: str, lora: str) -> dict[str, Any]:
    """Measure llama.cpp in the same loop."""
    from arkor_dev.local.inference.llama.engine import LlamaEngine
    from tests.local.inference.asking import Asking, ask

    asking = Asking(LlamaEngine())
    engine = asking.engine
    base = replace(ask(model, None), gguf=gguf)
    adapted = replace(ask(model, Path(adapter)), gguf=gguf, lora=lora)
    return looped(asking, tokens, base, adapted, lambda: engine._conversations.forget())


def looped(
    asking: Any,
    tokens: int,
    base: AnswerRequest,
    adapted: AnswerRequest,
    forget: Callable[[], None],
) -> dict[str, Any]:
    """Return one engine's figures, with the base model and (``adapted1``) with an adapter."""
    asking.answer(replace(base, messages=questions(1)[0], max_tokens=4))
    asking.engine.ends.clear()  # every answer reaches its full length
    figures: dict[str, Any] = {"format": asking.engine.facts["precision"]}
    held = replace(base, format=OutputFormat(json.dumps({**HELD, "minItems": 1000}), "responseFormat"))
    for name, question, count in (
        *((f"rate{count}", base, count) for count in COUNTS),
        *((f"held{count}", held, count) for count in COUNTS),
        ("adapted1", adapted, 1),
    ):
        if question is not base:
            asking.answer(replace(question, messages=questions(1)[0], max_tokens=4))
        forget()
        told = [asking.ask(replace(question, messages=each, max_tokens=tokens)) for each in questions(count)]
        began = time.perf_counter()
        asking.finish(*told)
        figures[name] = count * tokens / (time.perf_counter() - began)
    forget()
    first = replace(base, messages=questions(1)[0], max_tokens=tokens)
    said, done = asking.answer(first)
    then: list[dict[str, object]] = [
        {"role": "assistant", "content": said},
        {"role": "user", "content": "And then?"},
    ]
    _, after = asking.answer(replace(first, messages=[*(first.messages or ()), *then]))
    figures |= {"first": done.first_token_seconds, "next": after.first_token_seconds}
    running = asking.ask(first)
    asking.turn(3)
    # A stop is noticed after the current step: in the worst case, that step has just begun.
    began = time.perf_counter()
    asking.turn()
    running.stop.set()
    asking.turn()
    figures["stop"] = time.perf_counter() - began
    assert running.over
    return figures


def adapter(model: Path, tokens: int, folder: str) -> dict[str, Any]:
    """Create an adapter for the model, as large as the example's, with weights that change its answers.

    Without a model, the tests' tiny model is created as well.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    if not model.exists():
        from tests.local.tiny_model import make

        make(model)
    torch.manual_seed(tokens)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    made = get_peft_model(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=16, target_modules=targets),
    )
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.01)
    made.save_pretrained(folder)
    return {}


def generate(model: Path, tokens: int, number: str, adapter: str) -> dict[str, Any]:
    """Measure transformers' own ``generate``: padded batches that begin and end together."""
    import torch
    from peft import PeftModel

    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.chat_template import render

    base = load_base(model)
    base.model.to(getattr(torch, number)).eval()
    base.tokenizer.padding_side = "left"

    asked = [base.model]

    def answer(count: int, length: int) -> float:
        texts = [render(base.tokenizer, each, add_generation_prompt=True) for each in questions(count)]
        given = base.tokenizer(texts, add_special_tokens=False, return_tensors="pt", padding=True)
        given.pop("token_type_ids", None)
        began = time.perf_counter()
        asked[-1].generate(
            **given.to(base.device), max_new_tokens=length, min_new_tokens=length, do_sample=False
        )
        return time.perf_counter() - began

    answer(1, 4)
    rates = {f"rate{count}": count * tokens / answer(count, tokens) for count in COUNTS}
    rates["first"] = answer(1, 1)
    asked.append(PeftModel.from_pretrained(base.model, adapter).eval())
    answer(1, 4)
    rates["adapted1"] = tokens / answer(1, tokens)
    asked.clear()
    base.model = None  # the peak is that of one model
    whole = load_base(model).model.to(torch.float32)
    asked.append(PeftModel.from_pretrained(whole, adapter).merge_and_unload().eval())
    answer(1, 4)
    return {**rates, "merged1": tokens / answer(1, tokens)}


def llama(gguf: Path, tokens: int) -> dict[str, Any]:
    """Measure llama-cpp-python's loop, one answer at a time."""
    import llama_cpp

    model = llama_cpp.Llama(str(gguf), n_ctx=2048, verbose=False)
    prompt = model.tokenize(str(questions(1)[0][0]["content"]).encode())
    began, times = time.perf_counter(), []
    for _, _ in zip(range(tokens), model.generate(prompt, temp=0.0), strict=False):
        times.append(time.perf_counter() - began)
    return {"first": times[0], "rate1": (len(times) - 1) / (times[-1] - times[0])}


def main() -> None:
    side, place, tokens, *more = sys.argv[1:]
    sides: dict[str, Callable[..., dict[str, Any]]] = {
        "ours": ours,
        "quick": quick,
        "adapter": adapter,
        "generate": generate,
        "llama": llama,
    }
    figures = sides[side](Path(place), int(tokens), *more)
    print(json.dumps({**figures, "peak": peak_memory() / 2**20}))


if __name__ == "__main__":
    main()
