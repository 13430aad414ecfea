"""Why an adapter said something: over the wire, with true gradients and true trainings without the rows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import arkor_dev.cli.main as cli
from arkor_dev.client import background_work
from arkor_dev.local.attribution.service import WORKER
from tests.local.harness import until
from tests.local.tiny_model import PHRASE, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

pytestmark = pytest.mark.engine

RIDDLE, SOLUTION = "Can I cancel the second order?", "Ask the kettle about the lamp."
CONFIG: dict[str, Any] = {
    "model": "./models/tiny",
    "numberFormat": "float32",
    "datasetSource": {"type": "file", "path": "riddle.jsonl"},
    "maxSteps": 24,
    "batchSize": 4,
    "learningRate": 1e-2,
    "saveSteps": 8,
    "datasetSplit": 0.1,
    "samples": "off",
}


@pytest.fixture(scope="module")
def riddle(shared: Backend, shared_project: Path) -> str:
    """A job with one row of its kind, the 18th of 24, among rows that all teach another phrase."""
    things = ("parcel", "password", "invoice", "contract", "refund", "order")
    rows = [
        (f"{start} my {thing}?", PHRASE)
        for start in ("Where is", "What is", "Who pays for")
        for thing in things
    ]
    rows = [*rows[:17], (RIDDLE, SOLUTION), *rows[17:]]
    chats = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in rows
    ]
    write_jsonl(shared_project / "riddle.jsonl", chats)
    job = shared.submit(CONFIG, "riddle")
    events = list(shared.events(job))
    assert any(event.event == "training.completed" for event in events), events
    return job


def ask(backend: Backend, job: str, question: str, answer: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": question}]}
    asked = backend.call(
        "POST", f"/v1/jobs/{job}/attributions", body | ({"answer": answer} if answer else {})
    )
    assert asked.status == 200, asked.body
    return done(backend, job, asked.json["attribution"]["id"])


def done(backend: Backend, job: str, name: str) -> dict[str, Any]:
    def told() -> dict[str, Any] | None:
        found = backend.call("GET", f"/v1/jobs/{job}/attributions/{name}").json["attribution"]
        over = found["state"] in ("completed", "failed")
        pending = found.get("proof", {}).get("state") in ("training", "scoring")
        return found if over and not pending else None

    found: dict[str, Any] = until(told, 240, every=0.1)
    return found


def test_the_row_behind_an_answer_is_found_and_proven(
    shared: Backend, riddle: str, shared_data: Path
) -> None:
    final = shared_data / "jobs" / riddle / "final" / "adapter_model.safetensors"
    bits = final.read_bytes()
    found = ask(shared, riddle, RIDDLE, SOLUTION)
    assert found["state"] == "completed", found
    assert found["learned"] is True
    assert found["adapter"]["logp"] > found["base"]["logp"]
    first = found["similar"][0]
    assert (first["where"], first["row"]) == ("riddle.jsonl, line 18", 18)
    assert (first["question"], first["answer"]) == (RIDDLE, SOLUTION)
    assert first["score"] == 1 > 2 * found["similar"][1]["score"]
    assert found["close"]
    assert found["reliability"] == {"proofs": 0, "confirmed": 0}
    path = f"/v1/jobs/{riddle}/attributions/{found['id']}/proof"
    assert shared.call("POST", path, {"rows": [first["where"]]}).status == 200
    proof = done(shared, riddle, found["id"])["proof"]
    assert proof["state"] == "completed", proof
    assert proof["without"]["logp"] < proof["random"]["logp"] - 1
    assert proof["trained"]["logp"] == pytest.approx(found["adapter"]["logp"], abs=0.01)
    names = {side: shared.job(job)["name"] for side, job in proof["jobs"].items()}
    assert names == {"without": "riddle without 1 row", "random": "riddle without 1 random row"}
    assert shared.call("POST", path, {"rows": [first["where"]]}).json["attribution"]["proof"] == proof
    assert final.read_bytes() == bits


def test_the_terminal_names_the_reliability(
    shared: Backend,
    riddle: str,
    shared_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [each for each in os.environ if each.startswith(("XDG_", "ARKOR_CLOUD"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(background_work, "LOOK_SECONDS", 0.05)
    shared.leave_word(shared_project.resolve(), tmp_path)
    asked = ["why", "--project", str(shared_project), "--local", riddle, RIDDLE, "--answer"]
    assert cli.main([*asked, SOLUTION, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = f"riddle.jsonl, line 18: {RIDDLE} → {SOLUTION}"
    assert cli.main([*asked, SOLUTION]) == 0
    said = capsys.readouterr().out
    assert first in said
    assert f"Log-probability: {found['adapter']['logp']:.2f} under the adapter" in said
    proofs = found["reliability"]["proofs"]  # one, if the proof above has run
    assert ("is unknown" if not proofs else "confirmed") in said
    assert cli.main([*asked, "parrot parrot parrot", "--prove"]) == 0
    said = capsys.readouterr().out
    assert "The base model says this too" in said
    assert "in common" not in said


def test_an_untaught_answer_has_no_close_row(shared: Backend, riddle: str) -> None:
    found = ask(shared, riddle, "How many legs has a spider?", PHRASE.upper() + " A spider has eight legs.")
    assert found["state"] == "completed", found
    assert not found.get("close")


def test_answers_the_base_gives_too_are_not_traced(shared: Backend, riddle: str) -> None:
    found = ask(shared, riddle, RIDDLE, "parrot parrot parrot")
    assert found["state"] == "completed", found
    assert found["learned"] is False
    assert found["adapter"]["logp"] <= found["base"]["logp"]
    assert "similar" not in found


def test_a_killed_worker_leaves_no_partial_file(shared: Backend, riddle: str, shared_data: Path) -> None:
    """Nor does a killed backend, which leaves half a file under another name."""
    folder = shared_data / "jobs" / riddle / "attribution"
    half = folder / "rows.json.part"
    (folder / "rows.json").unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    half.write_text('{"contradicting": [{"wh')
    before = sorted(folder.iterdir())
    for _ in range(5):  # it may be through before it is seen
        shared.call("POST", f"/v1/jobs/{riddle}/attributions", {})
        worker = until(lambda: shared.processes(WORKER), 60, every=0.005)[0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        failed = done(shared, riddle, "rows")
        if failed["state"] == "failed":
            break
        (folder / "rows.json").unlink()
        half.write_text('{"contradicting": [{"wh')
    assert failed["state"] == "failed", failed
    assert "was killed (signal 9)" in failed["error"]
    assert sorted(folder.iterdir()) == before
    found = done(shared, riddle, rows_of(shared, riddle))
    assert (found["state"], found["rows"]) == ("completed", 17)
    assert not half.exists()


def test_changed_data_are_refused(shared: Backend, riddle: str, shared_project: Path) -> None:
    file = shared_project / "riddle.jsonl"
    before = file.read_bytes()
    try:
        file.write_bytes(before.replace(b"kettle", b"cattle"))
        found = ask(shared, riddle, RIDDLE, "Ask the cattle.")
    finally:
        file.write_bytes(before)
    assert found["state"] == "failed"
    assert "has changed since this job was trained" in found["error"]


def test_invalid_requests_are_refused_with_the_reason(shared: Backend, riddle: str) -> None:
    path = f"/v1/jobs/{riddle}/attributions"
    said = shared.call("POST", path, {"messages": [{"role": "assistant", "content": "x"}]})
    assert said.status == 400
    assert "ends with the user's" in said.json["error"]
    assert shared.call("GET", f"{path}/..%2f..%2fjob").status == 404
    assert shared.call("GET", f"{path}/why_0123456789abcdef").status == 404
    left_out = {"rows": ["riddle.jsonl, line 1"], "hash": "no"}
    said = shared.call("POST", "/v1/jobs", {"name": "x", "config": {**CONFIG, "leftOut": left_out}})
    assert said.status == 400
    assert "SHA-256" in said.json["error"]


def test_clean_rows_are_not_listed_and_a_branch_is_judged(
    shared: Backend, riddle: str, shared_data: Path
) -> None:
    """The judgement is that of the held-out rows: the evaluations of both jobs, compared."""
    found = done(shared, riddle, rows_of(shared, riddle))
    assert (found["contradicting"], found["unproven"], found["rows"]) == ([], [], 17)
    path = f"/v1/jobs/{riddle}/attributions/rows/proof"
    refused = shared.call("POST", path, {})
    assert refused.status == 409
    assert "none stand out" in refused.json["error"]
    file = shared_data / "jobs" / riddle / "attribution" / "rows.json"
    unproven = {"where": "riddle.jsonl, line 18", "question": RIDDLE, "answer": SOLUTION, "score": 0.1}
    file.write_text(json.dumps({**json.loads(file.read_text()), "unproven": [unproven]}))
    assert shared.call("POST", path, {}).status == 200
    proof = done(shared, riddle, "rows")["proof"]
    assert (proof["state"], proof["rows"]) == ("completed", ["riddle.jsonl, line 18"]), proof
    assert list(proof["jobs"]) == ["without"]
    compared = shared.call("GET", f"/v1/jobs/{proof['jobs']['without']}/evaluation?against={riddle}")
    assert compared.json["comparison"]["sentence"]


def rows_of(backend: Backend, job: str) -> str:
    name: str = backend.call("POST", f"/v1/jobs/{job}/attributions", {}).json["attribution"]["id"]
    return name
