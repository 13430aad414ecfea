"""Findings about thoughts that depend on the model's chat template, with the templates that TRL has."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.reader import DataFile
from arkor_dev.local.datasets.index import Index
from arkor_dev.local.datasets.view import ReadingSettings, View
from arkor_dev.local.modeling.chat_template import with_arguments
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from tests.local.tiny_model import CHATML, make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Codes = Callable[..., dict[str, int]]

FOUND = find_spec("trl")
FOLDER = Path((FOUND and FOUND.origin) or "none").parent / "chat_templates"
pytestmark = [pytest.mark.engine, pytest.mark.skipif(not FOLDER.is_dir(), reason="TRL is not installed")]


def row(*answers: str, **more: str) -> dict[str, Any]:
    """A conversation with these answers."""
    messages: list[dict[str, Any]] = []
    for answer in answers:
        messages.append({"role": "user", "content": "Where is my parcel?"})
        messages.append({"role": "assistant", "content": answer, **more})
    return {"messages": messages}


PLAIN = row("the ledger.")
EMPTY = row("<think>\n\n</think>\n\nthe ledger.")
FILLED = row("<think>\nIs it lost?\n</think>\n\nthe ledger.")
TWICE = row("<think>\nIs it lost?\n</think>\n\nOne.", "<think>\nThe invoice has it.\n</think>\n\nTwo.")


@pytest.fixture
def codes(tmp_path: Path) -> Iterator[Codes]:
    """Returns the number of rows of each finding in rows that a model with this template learns."""
    opened = []

    def found(name: str, rows: list[Any], thinks: bool | None = None, **encoding: Any) -> dict[str, int]:
        path = tmp_path / "d.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        tokenizer = make_tokenizer()
        tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text() if name else CHATML
        if thinks is not None:
            tokenizer = with_arguments(tokenizer, {"enable_thinking": thinks})
        view = View(Index([DataFile(path, "d.jsonl")]))
        opened.append(view)
        view.read_by(ReadingSettings(tokenizer, method("sft"), Encoding(512, **encoding), 8192))
        until = time.monotonic() + 30
        while view.busy:
            assert time.monotonic() < until
            view.work(0.02)
        counts = {finding["code"]: finding["count"] for finding in view.status()["findings"]}
        counts.pop("no-end-mark", None)  # this tokenizer has not every model's end token
        return counts

    yield found
    for view in opened:
        view.close()


@pytest.mark.parametrize("name", ["qwen3", "qwen3_5_think", "glm4moe"])
def test_rows_that_break_the_switch_are_found_before_training(codes: Codes, name: str) -> None:
    """The template writes empty thoughts into every answer without any."""
    broken = {"learned-empty-thoughts": 5}
    assert codes(name, [PLAIN, EMPTY, EMPTY, PLAIN, EMPTY]) == broken
    assert codes(name, [FILLED, PLAIN, *[EMPTY] * 4, FILLED]) == broken
    assert codes(name, [FILLED, FILLED]) == {}


def test_each_remedy_works(codes: Codes) -> None:
    rows = [PLAIN, EMPTY, EMPTY]
    assert codes("qwen3", rows, empty_thoughts=False) == {}
    assert codes("qwen3", [*rows, FILLED], empty_thoughts=False) == {}
    assert codes("qwen3", rows, thinks=False) == {}
    assert codes("qwen3", [FILLED], thinks=True) == {}


def test_thoughts_after_a_prompt_that_says_not_to_think_are_found(codes: Codes) -> None:
    assert codes("qwen3", [PLAIN, FILLED, EMPTY], thinks=False) == {"forbidden-thoughts": 1}


@pytest.mark.parametrize("name", ["qwen3", "deepseek_r1_distill"])
def test_thoughts_that_later_turns_lack_are_noted(codes: Codes, name: str) -> None:
    assert codes(name, [TWICE, FILLED]) == {"earlier-thoughts": 1}
    assert codes(name, [TWICE, FILLED], last_only=True) == {}


def test_dropped_thoughts_are_found(codes: Codes) -> None:
    inside = {"content": "the ledger.", "reasoning_content": "Is it lost?"}
    field = {"messages": [PLAIN["messages"][0], {"role": "assistant", **inside}]}
    assert codes("", [FILLED, PLAIN]) == {}  # as a part of the content
    assert codes("", [field, PLAIN]) == {"thoughts-dropped": 1}
    assert codes("qwen3", [field]) == {}


def test_thoughts_alone_leave_other_rows_nothing_to_learn(codes: Codes) -> None:
    assert codes("qwen3", [FILLED, EMPTY], answer_weight=0) == {"learned-empty-thoughts": 1}
    only = {"answer_weight": 0, "empty_thoughts": False}
    assert codes("qwen3", [FILLED, EMPTY], **only) == {"nothing-to-learn": 1}
