"""A job on rows of several formats, with an evaluation set of its own: trained on as what they say."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.conftest import CONFIG
from tests.local.tiny_model import PHRASE, QUESTIONS

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


def test_a_job_on_several_formats(shared: Backend, shared_project: Path, mixed: dict[str, Any]) -> None:
    (shared_project / "mixed" / "eval.tsv").write_text(f"prompt\tcompletion\n{QUESTIONS[0]}\t{PHRASE}\n")
    held_out = {"type": "file", "path": "mixed/eval.tsv"}
    job = shared.submit({**CONFIG, "maxSteps": 2, "datasetSource": mixed, "evalDatasetSource": held_out})
    shared.wait_for(job, "training.completed")
    started = shared.wait_for(job, "training.started").json["metadata"]
    assert (started["trainRows"], started["evalRows"]) == (6 + 4 + 3 + 1, 1)
    assert started["settings"]["datasetSplit"] == 0
    assert shared.job(job)["metrics"]["evalLoss"] > 0


def test_a_bad_row_of_any_file_ends_the_job_by_its_place(
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
def test_a_source_that_is_none_is_refused(shared: Backend, source: dict[str, Any], reason: str) -> None:
    for key in ("datasetSource", "evalDatasetSource"):
        body = {"name": "a", "config": {**CONFIG, key: source}}
        answer = shared.call("POST", "/v1/jobs", body)
        assert answer.status == 400
        assert reason.replace("datasetSource", key) in answer.json["error"]
