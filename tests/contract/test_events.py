"""Events have names, said once: whoever sends or reads one takes the name from the contract."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, is_typeddict

import pytest

from arkor_dev.contract import events
from arkor_dev.jobs.sse_frames import event_name, frames_in

PACKAGE = Path(events.__file__).parent.parent
ROOT = PACKAGE.parent
PAGE = ROOT / "web" / "src"
NAMES = {name: value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
CLASSES: dict[str, Any] = {
    # As written: a name of another module is known to the type checker alone.
    ast.literal_eval(kind.__annotations__["type"].__forward_arg__.removeprefix("Literal[")[:-1]): kind
    for kind in vars(events).values()
    if is_typeddict(kind) and "type" in kind.__annotations__
}
JOB_EVENTS = {value for name, value in NAMES.items() if not name.startswith(("STREAM_", "CHAT_"))}
DOTTED = {value for value in JOB_EVENTS if "." in value}


def test_each_event_has_a_name_and_a_documented_class() -> None:
    assert set(CLASSES) == JOB_EVENTS
    for name, kind in CLASSES.items():
        assert NAMES[re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper()] == name
        assert "From " in kind.__doc__, f"{kind.__name__} does not say who sends it"
        assert {"jobId", "timestamp"} <= kind.__required_keys__ | set(events.AnyEvent.__annotations__)


def test_each_final_status_has_an_event() -> None:
    from arkor_dev.contract.shapes import TERMINAL

    assert set(events.ENDINGS) == TERMINAL
    assert set(events.ENDINGS.values()) <= set(CLASSES)


def bare_names(source: str, names: set[str]) -> list[str]:
    """The event names that stand in Python source as texts of their own."""
    found: list[str] = []
    if not any(name in source for name in names):
        return found  # most of the package: to walk through it all takes seconds
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
            if text in names:
                found.append(f"{node.lineno}: {text}")
    return found


def test_no_module_spells_out_an_event_name() -> None:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] == "contract":
            continue
        # "end" and "ping" are plain words elsewhere; where streams are sent and read they are events.
        streams = inside.parts[0] in ("jobs", "server") or inside.parts[:2] == ("local", "server")
        names = bare_names(path.read_text(encoding="utf-8"), JOB_EVENTS if streams else DOTTED)
        if names:
            found[str(inside)] = names
    assert found == {}


@pytest.mark.parametrize("line", ['emit("training.log", step=1)', 'if name == b"end": pass', "x = ['ping']"])
def test_a_spelled_out_event_name_would_be_found(line: str) -> None:
    assert bare_names(f"# training.log\n{line}\n", JOB_EVENTS)


def test_the_page_uses_the_contracts_event_names() -> None:
    quoted = re.compile("|".join(f"[\"'`]{re.escape(name)}[\"'`]" for name in sorted(DOTTED)))
    streams = re.compile(r"""===? ["'](?:ping|end|\[DONE\])["']""")
    found = []
    for path in sorted([*PAGE.rglob("*.ts"), *PAGE.rglob("*.tsx")]):
        if path.name.endswith((".test.ts", ".test.tsx")) or path.name == "contract.gen.ts":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            code = re.sub(r"(^\s*\*.*)|(//.*)|(/\*\*.*?\*/)", "", line)
            if quoted.search(code) or streams.search(code):
                found.append(f"{path.relative_to(PAGE)}:{number}: {code.strip()}")
    assert found == []


def test_the_fake_backend_sends_only_what_the_contract_names() -> None:
    """It spells the names itself, so that it can be wrong only independently of the product."""
    source = (ROOT / "tests" / "support" / "fake_backend.py").read_text(encoding="utf-8")
    spelled = set(re.findall(r"\"((?:training|checkpoint|model)\.[a-z]+)\"", source))
    spelled |= set(re.findall(r"event: (\w+)\\n", source))
    assert spelled <= JOB_EVENTS
    assert {"training.started", "training.log", "ping", "end"} <= spelled


def test_the_reference_documents_each_event() -> None:
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    missing = [name for name in JOB_EVENTS if f"`{name}" not in text]
    assert missing == []


def test_the_reference_example_is_a_valid_stream() -> None:
    text = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    frames = frames_in(example.encode())
    assert len(frames) == 2
    for frame in frames:
        said = json.loads(frame.partition(b"\ndata: ")[2])
        kind = CLASSES[said["type"]]
        fields = {**events.AnyEvent.__annotations__, **kind.__annotations__}
        needed = {name for name, hint in fields.items() if "NotRequired" not in str(hint)}
        assert event_name(frame).decode() == said["type"]
        assert needed <= set(said) <= set(fields)
