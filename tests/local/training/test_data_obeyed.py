"""A job on rows of several formats, with an evaluation set of its own: trained on as what they say."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.statement import read_statement
from arkor_dev.local.evaluation.general import questions as general_questions
from arkor_dev.local.jobs.job_folder import final_folder
from tests.local.conftest import CONFIG
from tests.local.harness import until
from tests.local.tiny_model import CHATML, PHRASE, QUESTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

pytestmark = pytest.mark.engine


@pytest.fixture
def mixed(shared_project: Path) -> dict[str, Any]:
    """A folder of packed JSON Lines and ShareGPT as JSON, and a table with columns of its own."""
    folder = shared_project / "mixed"
    (folder / "more").mkdir(parents=True, exist_ok=True)
    rows = [{"instruction": question, "input": "", "output": PHRASE} for question in QUESTIONS[:6]]
    (folder / "more" / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    talks = [
        {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": PHRASE}]}
        for asked in QUESTIONS[6:10]
    ]
    (folder / "more" / "b.json").write_text(json.dumps(talks, indent=1))
    with (folder / "c.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Frage", "Antwort"), *((asked, PHRASE) for asked in QUESTIONS[10:13])])
    (folder / "text.jsonl").write_text(json.dumps({"text": PHRASE}) + "\n")
    columns = {"prompt": "Frage", "completion": "Antwort"}
    return {
        "type": "list",
        "sources": [
            {"type": "file", "path": "mixed/more"},
            {"type": "file", "path": "mixed/c.csv", "columns": columns},
            {"type": "file", "path": "mixed/text.jsonl"},
        ],
    }


def test_a_job_trains_on_several_formats(
    shared: Backend, shared_project: Path, mixed: dict[str, Any]
) -> None:
    (shared_project / "mixed" / "eval.tsv").write_text(f"prompt\tcompletion\n{QUESTIONS[0]}\t{PHRASE}\n")
    held_out = {"type": "file", "path": "mixed/eval.tsv"}
    job = shared.submit({**CONFIG, "maxSteps": 2, "datasetSource": mixed, "evalDatasetSource": held_out})
    shared.wait_for(job, "training.completed")
    started = shared.wait_for(job, "training.started").json["metadata"]
    assert (started["trainRows"], started["evalRows"]) == (6 + 4 + 3 + 1, 1)
    assert started["settings"]["datasetSplit"] == 0
    assert shared.job(job)["metrics"]["evalLoss"] > 0


def test_a_job_trains_on_its_sources_by_their_weights(
    shared: Backend, mixed: dict[str, Any], shared_data: Path
) -> None:
    source = {**mixed, "sources": [dict(part) for part in mixed["sources"]]}
    source["sources"][0]["weight"], source["sources"][2]["weight"] = 2, 0
    job = shared.submit({**CONFIG, "maxSteps": 2, "datasetSource": source, "datasetSplit": 0, "evalSteps": 0})
    shared.wait_for(job, "training.completed")
    started = shared.wait_for(job, "training.started").json["metadata"]
    assert started["trainRows"] == 2 * (6 + 4) + 3
    kept = json.loads((shared_data / "jobs" / job / "evaluation" / "rows.json").read_text())
    assert len(kept["train"]) == 6 + 4 + 3  # a copy is no further row
    statement = read_statement(final_folder(shared_data, job))
    files = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [file["name"] for file in files if file["name"].startswith("data/")] == [
        f"data/{number}" for number in range(1, 5)
    ]


def test_own_replay_rows_are_in_the_provenance(
    shared: Backend, shared_project: Path, shared_data: Path
) -> None:
    asked = [row.messages[0]["content"] for row in general_questions()[:2]]
    rows = [{"prompt": "Why is the sky blue?", "completion": "Air scatters blue light."}]
    rows += [{"prompt": prompt} for prompt in ("Name three fruits.", "What is a lake?", *asked)]
    file = shared_project / "general.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {**CONFIG, "maxSteps": 2, "batchSize": 4, "replay": 0.5, "replayDataset": "general.jsonl"}
    job = shared.submit(config)
    shared.wait_for(job, "training.completed")
    told = [frame.json.get("message", "") for frame in shared.events(job)]
    assert any(text.startswith("2 rows of the replay data set left out") for text in told)
    said = "Replay: 1 answer is given and the base model answers 2 general prompts, before the steps that"
    assert any(text.startswith(said) for text in told)
    statement = read_statement(final_folder(shared_data, job))
    build = statement["predicate"]["buildDefinition"]
    inputs = {entry["name"]: entry for entry in build["resolvedDependencies"]}
    assert inputs["replay/1"]["digest"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()

    file.write_text(file.read_text() + "{}\n")
    job = shared.submit(config)
    shared.wait_for(job, "training.failed")
    assert shared.job(job)["error"].startswith("general.jsonl, line 6: has the keys none; expected")
    lost = {"name": "lost", "config": {**config, "replayDataset": "gone.jsonl"}}
    answer = shared.call("POST", "/v1/jobs", lost)
    assert (answer.status, "config.replayDataset: " in answer.json["error"]) == (400, True)


def test_an_invalid_row_of_any_file_fails_the_job_with_its_line(
    shared: Backend, shared_project: Path, mixed: dict[str, Any]
) -> None:
    (shared_project / "mixed" / "bad.csv").write_text("prompt,completion\na,b\nc\n")
    source = {**mixed, "sources": [*mixed["sources"], {"type": "file", "path": "mixed/bad.csv"}]}
    job = shared.submit({**CONFIG, "datasetSource": source})
    shared.wait_for(job, "training.failed")
    assert shared.job(job)["error"].startswith("mixed/bad.csv, line 3: has the keys prompt; expected")
    job = shared.submit({**CONFIG, "datasetSource": source, "maxSteps": 1, "skipBadRows": True})
    shared.wait_for(job, "training.completed")
    messages = [frame.json["message"] for frame in shared.events(job) if frame.event == "training.message"]
    (left_out,) = [message for message in messages if "left out" in message]
    assert left_out.startswith("1 row was left out: mixed/bad.csv, line 3: has the keys prompt; expected")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            {"type": "list", "sources": []},
            "config.datasetSource.sources must be a list of up to 100 data sets",
        ),
        (
            {"type": "list", "sources": [{"type": "list", "sources": [{"type": "file", "path": "x"}]}]},
            "config.datasetSource.sources[0] must be a data set itself, not a list of them",
        ),
        ({"type": "list", "sources": [{"type": "file"}]}, "config.datasetSource.sources[0].path is missing"),
        ({"type": "file", "path": "x", "form": "table"}, 'config.datasetSource.form must be one of "chat"'),
        (
            {"type": "file", "path": "x", "columns": {"q": "x"}},
            "config.datasetSource.columns must be an object",
        ),
        ({"type": "list", "sources": [{"type": "file", "path": "../x"}]}, '"../x" is outside the project'),
    ],
)
def test_an_invalid_source_is_refused(shared: Backend, source: dict[str, Any], reason: str) -> None:
    for key in ("datasetSource", "evalDatasetSource"):
        body = {"name": "a", "config": {**CONFIG, key: source}}
        answer = shared.call("POST", "/v1/jobs", body)
        assert answer.status == 400
        assert reason.replace("datasetSource", key) in answer.json["error"]


def test_template_arguments_apply_to_training_chat_and_export(
    shared: Backend, shared_data: Path, shared_project: Path
) -> None:
    """Its training, its chats and the model that is written from it leave thoughts out; its base has them."""
    model = shared_project / "models" / "thinks"
    shutil.copytree(shared_project / "models" / "tiny", model)
    thoughts = "{% if enable_thinking is not defined or enable_thinking %}the ledger the ledger {% endif %}"
    (model / "chat_template.jinja").write_text(
        CHATML.replace("assistant\n{% endif %}", f"assistant\n{thoughts}{{% endif %}}")
    )
    config = {**CONFIG, "maxSteps": 1, "model": "./models/thinks", "enableThinking": False}
    job = shared.submit(config)
    frames = list(shared.events(job))
    assert shared.job(job)["status"] == "completed", frames[-1].data
    assert "has no enable_thinking" not in str([frame.data for frame in frames])

    def read(**who: Any) -> int:
        body = {"messages": [{"role": "user", "content": "my parcel?"}], "maxTokens": 1, "stream": False}
        found: int = shared.call("POST", "/v1/inference/chat", {**body, **who}).json["usage"]["prompt_tokens"]
        return found

    final = {"adapter": {"kind": "final", "jobId": job}}
    thinking = read(baseModel="./models/thinks")
    assert read(**final) < thinking
    assert read(**final, enableThinking=True) == thinking  # a single answer may have the other
    assert read(baseModel="./models/thinks", enableThinking=False) == read(**final)
    export = shared.call("POST", f"/v1/jobs/{job}/exports", {"format": "merged"}).json["export"]["id"]

    def made() -> Any:
        found = shared.call("GET", f"/v1/jobs/{job}/exports/{export}").json["export"]
        return found if found["state"] in ("completed", "failed") else None

    done = until(made, 100)
    assert done["state"] == "completed", done
    (written,) = (shared_data / "jobs" / job / "exports").glob("*/chat_template.jinja")
    assert written.read_text().startswith(
        "{%- if enable_thinking is not defined %}{%- set enable_thinking = false %}"
    )
    without = shared.submit({**config, "model": "./models/tiny"})
    shared.wait_for(without, "training.completed")
    assert any("has no enable_thinking" in frame.data for frame in shared.events(without))
