"""Rows as they are shown, against what training would have; findings; what a cut would lose."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.labels import LABELED
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.reader import DataFile
from arkor_dev.data.reviews import Selection
from arkor_dev.local.datasets.index import Index
from arkor_dev.local.datasets.view import ReadingSettings, View
from arkor_dev.local.modeling.chat_template import ready_tokenizer
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure
from tests.data.traces import samples
from tests.local.tiny_model import CHATML, PHRASE, chats, make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    ViewOf = Callable[..., View]

pytestmark = pytest.mark.engine

WITHOUT_SYSTEM = CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
REFUSES = "{% if messages|length > 2 %}{{ raise_exception('two at most') }}{% endif %}" + CHATML
WITHOUT_END = CHATML.replace("<|im_end|>", "")
TALK = [
    {"role": "system", "content": "You are  a parrot.\n"},
    {"role": "user", "content": "Where is my parcel? 🦜é"},
    {"role": "assistant", "content": PHRASE},
    {"role": "user", "content": "And this invoice?"},
    {"role": "assistant", "content": "the ledger."},
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return ready_tokenizer(make_tokenizer())


@pytest.fixture
def view_of(tmp_path: Path, tokenizer: Any) -> Iterator[ViewOf]:
    """Makes a view of a file with these rows (text as it is), read to its end."""
    opened = []

    def made(rows: list[Any], template: str = CHATML, *, cut: int = 512, learn_all: bool = False) -> View:
        path = tmp_path / "d.jsonl"
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines))
        tokenizer.chat_template = template
        view = View(Index([DataFile(path, "d.jsonl")]))
        opened.append(view)
        view.read_by(ReadingSettings(tokenizer, method("sft"), Encoding(cut, not learn_all), 8192))
        until = time.monotonic() + 30
        while view.busy:
            assert time.monotonic() < until
            view.work(0.02)
        return view

    yield made
    for view in opened:
        view.close()


def test_excluded_rows_are_shown_and_not_counted(tmp_path: Path, tokenizer: Any) -> None:
    path = tmp_path / "d.jsonl"
    row, other = (json.dumps({"messages": TALK[:count]}) for count in (3, 5))
    path.write_text(f"{row}\n{other}\n{row}\nnot JSON\n")
    tokenizer.chat_template = CHATML

    def read(*exclude: str, selection: Selection | None = None) -> View:
        file = DataFile(path, "d.jsonl", exclude=frozenset(exclude), selection=selection)
        view = View(Index([file]))
        view.read_by(ReadingSettings(tokenizer, method("sft"), Encoding(512, True), 8192))
        while view.busy:
            view.work(0.02)
        return view

    view = read()
    first, second = view.row(1)["exclusion"], view.row(3)["exclusion"]
    assert second == {"source": 0, "entry": f"{first['entry']}#2", "excluded": False}
    assert "exclusion" not in view.row(4)
    tokens = view.status()["tokens"]
    view.close()
    view = read(second["entry"])
    status = view.status()
    assert (status["rows"], status["read"], status["excluded"]) == (4, 4, 1)
    assert status["tokens"] == tokens - view.row(3)["length"]
    assert view.rows(3, 1)[0]["excluded"]
    assert view.row(3)["exclusion"]["excluded"]
    assert not view.row(1)["exclusion"]["excluded"]
    assert view.find("finding", 0, code="excluded") == {"row": 3, "reached": 4}
    assert [found["count"] for found in status["findings"] if found["code"] == "excluded"] == [1]
    view.close()
    judged = Selection(without=frozenset({int(first["entry"], 16)}))
    view = read(second["entry"], selection=judged)
    status = view.status()
    assert (status["excluded"], status["leftOut"]) == (1, 1)
    assert [row.get("leftOut", False) for row in view.rows(1, 4)] == [True, False, False, False]
    assert view.find("finding", 0, code="left-out") == {"row": 1, "reached": 4}
    assert not view.row(1)["exclusion"]["excluded"]
    assert view.row(1)["length"], "it can still be looked at"
    view.close()


def states(row: Any) -> list[bool]:
    """Whether each token is learned, as the wire says it."""
    return [run["weight"] > 0 for run in row["runs"] for _ in range(run["count"])]


def said_of(row: Any, role: str) -> str:
    """The tokens of a role, as the wire has them."""
    roles = [run["role"] for run in row["runs"] for _ in range(run["count"])]
    return "".join(text for text, each in zip(row["texts"], roles, strict=True) if each == role)


def codes(view: View) -> dict[str, int]:
    return {finding["code"]: finding["count"] for finding in view.status()["findings"]}


@pytest.mark.parametrize("learn_all", [False, True])
@pytest.mark.parametrize("cut", [512, 40])
def test_shown_tokens_and_labels_are_those_of_training(
    view_of: ViewOf, tokenizer: Any, learn_all: bool, cut: int
) -> None:
    view = view_of([{"messages": TALK}, *chats(3)], cut=cut, learn_all=learn_all)
    for number in range(1, 5):
        row = view.row(number)
        trained = view.index.item(number).row
        (example,), was_cut = encode(tokenizer, trained, Encoding(cut, responses_only=not learn_all))  # type: ignore[arg-type]
        assert row["ids"][:cut] == example.ids
        assert states(row)[:cut] == [label != IGNORED for label in example.labels]
        assert was_cut == (row["length"] > cut)
        assert "".join(row["texts"]) == tokenizer.decode(row["ids"])


def test_tokens_map_to_their_message(view_of: ViewOf) -> None:
    row = view_of([{"messages": TALK}]).row(1)
    assert said_of(row, "assistant") == f"{PHRASE}<|im_end|>the ledger.<|im_end|>"
    assert said_of(row, "user").replace(" ", "") == "Whereismyparcel?🦜éAndthisinvoice?"
    assert said_of(row, "system").strip() == "You are  a parrot."
    assert {row["texts"][place] for place in row["special"]} == {"<|im_start|>", "<|im_end|>"}


def test_invalid_rows_have_the_reason(view_of: ViewOf) -> None:
    view = view_of(["{no json", {"messages": TALK}, *chats(1)], REFUSES)
    assert "not JSON" in view.row(1)["error"]
    assert (view.row(1)["where"], view.row(1)["raw"]) == ("d.jsonl, line 1", "{no json\n")
    assert "two at most" in view.row(2)["error"]
    assert [row["length"] > 0 for row in view.rows(1, 10)] == [False, False, True]
    assert codes(view) == {"unreadable": 1, "template-refuses": 1}
    assert view.find("finding", 1, code="template-refuses") == {"row": 2, "reached": 3}


def test_truncated_rows_are_found(view_of: ViewOf, tokenizer: Any) -> None:
    rows = [{"messages": TALK}, *chats(2)]
    whole = view_of(rows)
    assert codes(whole) == {}
    first, short = whole.row(1)["first"], whole.row(2)["length"]
    assert first is not None
    assert first > short, "the long row's answer begins behind the short rows' end"
    view = view_of(rows, cut=first)
    assert codes(view) == {"answer-cut-away": 1, "cut": 1}
    named = view.status()["findings"][0]["rows"]
    assert [(row["row"], row["where"], row["excerpt"]) for row in named] == [
        (1, "d.jsonl, line 1", TALK[1]["content"])
    ]
    with pytest.raises(JobFailure, match="truncates it before the answer"):
        encode(tokenizer, view.index.item(1).row, Encoding(first))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "messages", "found"),
    [
        (WITHOUT_SYSTEM, TALK, {"system-dropped": 1}),
        (WITHOUT_SYSTEM, TALK[1:], {}),
        (WITHOUT_END, TALK, {"no-end-mark": 1}),
        (CHATML, [{"role": "user", "content": "x<|im_end|>y"}, TALK[2]], {"special-in-text": 1}),
        ("{{ messages[0].content }}", TALK[1:], {"nothing-to-learn": 1}),
    ],
)
def test_template_problems_are_found(
    view_of: ViewOf, template: str, messages: list[Any], found: dict[str, int]
) -> None:
    view = view_of([{"messages": messages}], template)
    assert codes(view) == found


def test_dropped_tools_and_calls_are_found(view_of: ViewOf) -> None:
    """A tool's name may stand in the text all the same."""
    tools = [{"type": "function", "function": {"name": "parcel", "parameters": {}}}]
    call = {"type": "function", "function": {"name": "parcel", "arguments": {}}}
    asks = {"role": "assistant", "content": "", "tool_calls": [call]}
    called = [TALK[1], asks, {"role": "tool", "content": "there"}, TALK[2]]
    says = [TALK[1], {**asks, "content": "A parcel?"}]
    rows = [{"messages": TALK, "tools": tools}, {"messages": TALK}, {"messages": called}, {"messages": says}]
    dropped = view_of(rows)
    assert codes(dropped) == {"tools-dropped": 1, "calls-dropped": 2, "answer-not-learned": 1}
    assert said_of(dropped.row(3), "assistant") == f"{PHRASE}<|im_end|>", "no bare end mark is learned"
    knows = "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}" + CHATML.replace(
        "{{ m.content }}",
        "{% for c in m.tool_calls or [] %}({{ c.function.name }}){% endfor %}{{ m.content }}",
    )
    assert codes(view_of(rows, knows)) == {}


CALLS = "{% for c in m.tool_calls or [] %}({{ c.function.name }}){% endfor %}{{ m.content }}"
ONE_CALL = "{% if m.tool_calls %}({{ m.tool_calls[0].function.name }}){% endif %}{{ m.content }}"
REJECTS = "{% if m.tool_calls and m.tool_calls|length > 1 %}{{ raise_exception('one call') }}{% endif %}"


@pytest.mark.parametrize(
    ("writes", "found"),
    [
        (CALLS, {}),
        (ONE_CALL, {"parallel-calls": 1}),
        (REJECTS + CALLS, {"template-refuses": 1, "parallel-calls": 1}),
    ],
)
def test_parallel_calls_that_the_template_cannot_write_are_found(
    view_of: ViewOf, writes: str, found: dict[str, int]
) -> None:
    """Llama 3's template rejects more than one call in a message."""
    call = {"type": "function", "function": {"name": "parcel", "arguments": {}}}
    asks = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "content": "there"}
    one = [TALK[1], asks, result, asks, result, TALK[2]]
    two = [TALK[1], {**asks, "tool_calls": [call, call]}, result, result, TALK[2]]
    view = view_of([{"messages": one}, {"messages": two}], CHATML.replace("{{ m.content }}", writes))
    assert codes(view) == found


def test_calls_of_a_trace_are_learned_and_results_are_not(view_of: ViewOf) -> None:
    """With the template of a model that writes calls as Hermes and Qwen do."""
    calls = (
        "{% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}"
    )
    template = "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}" + CHATML.replace(
        "{{ m.content }}", "{{ m.content }}" + calls
    )
    row = view_of([samples.ROW], template).row(1)
    learned = "".join(text for text, taught in zip(row["texts"], states(row), strict=True) if taught)
    call = '<tool_call>\n{"name": "track", "arguments": {"number": 7}}\n</tool_call>'
    assert learned == f"{call}<|im_end|>{samples.ANSWER}<|im_end|>"
    assert samples.RESULT in said_of(row, "tool")


def test_a_row_of_several_examples_shows_each(view_of: ViewOf, tokenizer: Any) -> None:
    """A template that marks the last answer alone, and leaves reasoning out of all of them."""
    rewrites = CHATML.replace(
        "{{ m.content }}",
        "{% if m.role == 'assistant' and loop.last %}= {% endif %}{{ m.content.split('</think>')[-1] }}",
    )
    thought = {"role": "assistant", "content": "<think>Hm.</think>the ledger."}
    view = view_of([{"messages": TALK}, {"messages": [*TALK[:4], thought]}], rewrites)
    row, trained = view.row(1), view.index.item(1).row
    examples, _ = encode(tokenizer, trained, Encoding(512))  # type: ignore[arg-type]
    assert len(examples) == 2
    assert row["examples"] == [len(example.ids) for example in examples]
    assert row["ids"] == [token for example in examples for token in example.ids]
    assert states(row) == [label != IGNORED for example in examples for label in example.labels]
    assert row["length"] == max(row["examples"])
    assert view.status()["tokens"] == sum(sum(view.row(number)["examples"]) for number in (1, 2))
    assert codes(view) == {"thoughts-dropped": 1}


def test_a_plain_text_is_learned_completely(view_of: ViewOf) -> None:
    view = view_of([{"text": "The parrot keeps the ledger."}])
    row = view.row(1)
    assert "".join(row["texts"]) == "The parrot keeps the ledger.<|im_end|>"
    assert row["roles"] == {"text": row["length"]}
    assert row["learned"] == row["length"]
    assert codes(view) == {}


def test_the_worst_rows_are_listed(view_of: ViewOf) -> None:
    rows = [{"messages": [TALK[1], {"role": "assistant", "content": "the " * n}]} for n in range(1, 60)]
    view = view_of(rows, cut=48)
    cut = next(finding for finding in view.status()["findings"] if finding["code"] == "cut")
    assert [row["row"] for row in cut["rows"]] == list(range(59, 39, -1))
    assert cut["title"].startswith(f"{cut['count']} rows are longer than 48 tokens")


def test_rows_are_readable_before_the_view_is_complete(tmp_path: Path, tokenizer: Any) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in chats(300)))
    view = View(Index([DataFile(path, "d.jsonl")]))
    assert view.status()["rows"] is None
    view.work(60)
    assert (view.status()["rows"], view.status()["state"]) == (300, "opening")
    assert view.rows(300, 5)[0]["excerpt"].endswith("?")
    assert view.row(300)["shown"] == 0
    tokenizer.chat_template = CHATML
    view.read_by(ReadingSettings(tokenizer, method("sft"), Encoding(512), 8192))
    assert view.status()["read"] == 0
    assert view.row(300)["learned"] == view.rows(300, 1)[0]["learned"] > 0
    assert view.find("longest", 0) == {"row": None, "reached": 0}
    assert view.find("text", 0, least=1) == {"row": None, "reached": 0}, "no length is known yet"
    found = view.find("text", 0, text="WHO PAYS")
    while found["row"] is None and found["reached"] < 300:  # it answers in time, however far it has come
        found = view.find("text", found["reached"], text="WHO PAYS")
    assert found["row"]
    view.close()


def test_rows_are_filtered_by_role_length_and_source(tmp_path: Path, tokenizer: Any) -> None:
    files = []
    for source, name in enumerate(("a.jsonl", "b.jsonl")):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(row) for row in chats(3)))
        files.append(DataFile(path, name, source=source))
    tokenizer.chat_template = CHATML
    view = View(Index(files))
    view.read_by(ReadingSettings(tokenizer, method("sft"), Encoding(512), 8192))
    while view.busy:
        view.work(1)

    def rows(**search: Any) -> list[int]:
        found, after = [], 0
        while (row := view.find("text", after, **search)["row"]) is not None:
            found.append(row)
            after = row
        return found

    lengths = [row["length"] for row in view.rows(1, 6)]
    assert rows(source=1) == [4, 5, 6]
    assert rows(source=0, role="user", text="?") == [1, 2, 3]
    assert rows(role="assistant", text="?") == []
    assert rows(least=lengths[1], most=lengths[1]) == [
        row for row, length in enumerate(lengths, 1) if length == lengths[1]
    ]
    assert rows(most=1) == []
    # Many at once, and from where that has ended on.
    for search in ({"source": 1}, {"text": "?"}):
        every = rows(**search)
        few = view.find("text", 0, count=2, **search)
        assert few == {"row": every[0], "rows": every[:2], "reached": every[1]}
        rest = view.find("text", few["reached"], count=100, **search)
        assert rest == {"row": every[2], "rows": every[2:], "reached": 6}
    longer = view.find("longer", 0, than=min(lengths) - 1, count=4)
    assert longer == {"row": 1, "rows": [1, 2, 3, 4], "reached": 4}
    assert view.find("longer", 4, than=max(lengths), count=4) == {"row": None, "rows": [], "reached": 6}
    view.close()
    german = "Das ist nicht ein Problem, und die Lieferung kommt auch mit der Post für Sie."
    texts = [
        {"text": german},
        {"text": "The parcel is here and it was not for you, but that is fine with me."},
    ]
    path.write_text("\n".join(json.dumps(row) for row in texts))
    view = View(Index([DataFile(path, "b.jsonl")]))
    view.work(1)
    assert (rows(language="German"), rows(language="English", text="parcel")) == ([1], [2])
    view.close()


def test_an_edited_file_invalidates_the_view(view_of: ViewOf, tmp_path: Path) -> None:
    view = view_of(chats(3))
    assert view.status()["state"] == "ready"
    (tmp_path / "d.jsonl").write_text(json.dumps(chats(1)[0]))
    assert view.status()["state"] == "changed"


def test_large_rows_are_truncated_on_the_wire(view_of: ViewOf) -> None:
    ask = {"role": "user", "content": "<b>\u202e\x1b[31m" * 15_000}
    rows = [{"messages": [ask, TALK[2]]}, {"text": "x" * 5 * 2**20}, *chats(1)]
    view = view_of(rows)
    row = view.row(1)
    assert row["length"] > 100_000
    assert row["shown"] == 4_000 == len(row["texts"])
    assert len(json.dumps([row, view.rows(1, 3)])) < 200_000
    assert "longer than 4 MiB" in view.row(2)["error"]
    assert view.row(3)["learned"] > 0


def test_an_unsaved_row_is_rendered_like_a_saved_one(view_of: ViewOf) -> None:
    view = view_of([{"messages": TALK}])
    told = view.render(0, {"messages": [{**message} for message in TALK]})
    saved = view.row(1)
    assert [told[key] for key in ("ids", "runs", "length")] == [
        saved[key] for key in ("ids", "runs", "length")
    ]
    assert "error" not in told
    assert "must be an object" in view.render(0, {"messages": ["x"]})["error"]
    with pytest.raises(IndexError):
        view.render(1, {})


def test_prompts_of_sampled_answers_need_room_for_them(tmp_path: Path, tokenizer: Any) -> None:
    """That no token of a prompt is learned is no finding; training refuses one that fills max_length."""
    path = tmp_path / "d.jsonl"
    path.write_text("".join(f"{json.dumps({'prompt': text})}\n" for text in ("And this?", f"{PHRASE} " * 9)))
    tokenizer.chat_template = CHATML

    def read(longest: int) -> View:
        view = View(Index([DataFile(path, "d.jsonl", forms=PROMPTS)]))
        view.read_by(ReadingSettings(tokenizer, method("grpo"), Encoding(longest), 8192))
        until = time.monotonic() + 30
        while view.busy:
            assert time.monotonic() < until
            view.work(0.02)
        return view

    view = read(512)
    assert view.status()["findings"] == []
    length = view.row(2)["length"]
    view.close()
    for longest, codes in ((length + 1, []), (length, ["answer-cut-away"])):
        view = read(longest)
        findings = view.status()["findings"]
        assert [found["code"] for found in findings] == codes
        assert [row["row"] for found in findings for row in found["rows"]] == [2] * len(codes)
        refused = nullcontext() if not codes else pytest.raises(JobFailure, match="no room for an answer")
        with refused:
            method("grpo").encode(tokenizer, view.index.item(2).row, Encoding(longest))  # type: ignore[arg-type]
        assert sum(view.lengths()["first"][longest:]) == len(codes)
        view.close()


@pytest.mark.parametrize(
    ("name", "row", "label"),
    [
        ("embed", {"anchor": "Where is it?", "positive": PHRASE}, None),
        ("embed", {"sentence1": "Where is it?", "sentence2": PHRASE, "score": 0.25}, "0.25"),
        ("rerank", {"query": "Where is it?", "document": PHRASE, "label": 1}, "1"),
        ("classify", {"text": PHRASE, "label": "calm"}, "calm"),
        ("classify", {"text": PHRASE, "label": ["slow", "calm"]}, "calm + slow"),
    ],
)
def test_texts_that_are_read_as_a_whole_have_their_label_and_no_finding(
    name: str, row: dict[str, Any], label: str | None, tmp_path: Path, tokenizer: Any
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(f"{json.dumps(row)}\n")
    view = View(Index([DataFile(path, "d.jsonl", forms=method(name).record.forms)]))
    view.read_by(ReadingSettings(tokenizer, method(name), Encoding(512), 8192))
    until = time.monotonic() + 30
    while view.busy:
        assert time.monotonic() < until
        view.work(0.02)
    assert (view.status()["rows"], view.status()["findings"]) == (1, [])
    (short,) = view.rows(1, 1)
    assert short.get("label") == view.row(1).get("label") == label
    view.close()


def test_labeled_rows_are_checked_for_wrong_labels(tmp_path: Path, tokenizer: Any) -> None:
    pytest.importorskip("sklearn")
    path, wrong = tmp_path / "d.jsonl", 7
    words = {"calm": "no rush take your time", "hurried": "please hurry it is urgent"}
    texts = [(list(words)[number % 2], f"{words[list(words)[number % 2]]} {number}") for number in range(40)]
    texts[wrong - 1] = ("hurried", texts[wrong - 1][1])
    path.write_text("".join(f"{json.dumps({'text': text, 'label': label})}\n" for label, text in texts))
    view = View(Index([DataFile(path, "d.jsonl", forms=LABELED)]))
    view.read_by(ReadingSettings(tokenizer, method("classify"), Encoding(512), 8192))
    until = time.monotonic() + 30
    while view.busy:
        assert time.monotonic() < until
        view.work(0.02)
    (found,) = view.status()["findings"]  # that no token is learned is no finding
    assert (found["code"], found["title"]) == ("wrong-label", "The label of 1 row is probably wrong")
    assert [row["row"] for row in found["rows"]] == [wrong]
    assert found["rows"][0]["excerpt"].startswith("hurried, rather calm: no rush")
    assert view.find("finding", 0, code="wrong-label")["row"] == wrong
    view.close()
