"""A training method is one module: one of the tests' own trains, resumes, is forecast, judged and shown."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.data import methods as records
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.datasets.tokens import tokenize_row
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training import methods
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.project.data_check import check_trainer
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

INSTALLED = Path(__file__).with_name("installed")
ROWS = [{"question": asked, "good": PHRASE, "bad": f"No idea about {asked[:-1]}."} for asked in QUESTIONS]


@pytest.fixture
def ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "__path__", [*records.__path__, str(INSTALLED / "records")])
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(INSTALLED / "methods")])


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    known = "classify, cpo, distill, dpo, embed, grpo, kto, orpo, rerank, sdft, sft"
    assert ", ".join(records.names()) == known
    for name in ("record", "interface", "ppo", "..", "os"):
        with pytest.raises(JobFailure, match=rf"no training method '.+' here\. Available: {known}"):
            method(name)


def test_studio_accepts_rows_of_its_own_form(ranking: None, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "data" / "pairs.jsonl", ROWS)
    (tmp_path / "arkor.toml").write_text(
        '[[trainer]]\nname = "ranker"\nmodel = "tiny"\nmethod = "ranking"\ndataset = "data/pairs.jsonl"\n'
    )
    report = check_trainer(tmp_path, None, lambda *_: None)
    assert (report["rows"], report["findings"]) == (len(ROWS), [])


def examples(tiny: Path, rows: Sequence[dict[str, Any]]) -> list[Example]:
    forms, tokenizer = method("ranking").record.forms, load_tokenizer(tiny)
    read = [row_of(row, "row", None, {}, forms=forms) for row in rows]
    return method("ranking").encode_all(tokenizer, read, Encoding(512), lambda _: None)[0]


def test_the_example_method_resumes_to_the_same_bits(ranking: None, tiny: Path, tmp_path: Path) -> None:
    config = {"maxSteps": 6, "learningRate": 1e-2, "batchSize": 4, "loraDropout": 0.1, "loggingSteps": 1}
    facts: dict[str, Any] = {"train": examples(tiny, ROWS[:12]), "job_id": "job", "method": method("ranking")}
    (whole, parts) = (tmp_path / "whole", tmp_path / "parts")
    for data in (whole, parts):
        data.mkdir()
    run = set_up(tiny, whole, config, **facts)
    assert run.run().status == "completed"
    logged = [fields for name, fields in run.emit.calls if name == "training.log"]  # type: ignore[attr-defined]
    assert {"loss", "margin", "accuracy"} <= logged[0].keys()
    assert logged[-1]["margin"] > logged[0]["margin"] + 0.5

    paused = set_up(tiny, parts, config, **facts)
    pausing_after(3)(paused)
    assert paused.run().status == "paused"
    resumed = set_up(tiny, parts, config, **facts, resume_plan=points(parts))
    assert resumed.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_the_data_page_shows_the_example_methods_texts(ranking: None, tiny: Path) -> None:
    row = row_of(ROWS[0], "row", None, {}, forms=method("ranking").record.forms)
    tokenizer = load_tokenizer(tiny)
    found = tokenize_row(tokenizer, row, method("ranking"), Encoding(512))
    learned = [
        [part.coded.ids[place] for start, end in part.runs() for place in range(start, end)]
        for part in found.parts
    ]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in learned] == [
        ROWS[0]["good"],
        ROWS[0]["bad"],
    ]


@pytest.fixture
def backend(tmp_path: Path, tiny: Path, template: dict[str, str]) -> Iterator[Backend]:
    project = make_project(tmp_path / "tests", tiny)
    write_jsonl(project / "data" / "pairs.jsonl", ROWS)
    path = os.pathsep.join([str(INSTALLED), str(Path.cwd())])
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", PYTHONPATH=path, **template)
    yield backend
    backend.stop()


def test_a_job_of_the_example_method_is_forecast_and_judged(backend: Backend) -> None:
    config = {
        "method": "ranking",
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/pairs.jsonl"},
        "datasetSplit": 0.3,
        "maxSteps": 12,
        "learningRate": 1e-2,
        "evalSteps": 6,
        "numberFormat": "float32",
        "samples": "off",
    }

    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    measured = until(forecast, 90)
    assert measured["tokens"] > measured["learnedTokens"] > 0
    assert measured["trainingSeconds"] > 0

    job = backend.submit(config)
    frames = [frame for frame in backend.events(job) if frame.event.startswith(("training", "evaluation"))]
    assert backend.job(job)["status"] == "completed", frames[-1].data
    started = next(frame.json for frame in frames if frame.event == "training.started")
    assert started["metadata"]["figures"] == [
        {"name": "margin", "label": "Margin", "unit": "nats"},
        {"name": "accuracy", "label": "Accuracy", "unit": ""},
    ]
    assert started["metadata"]["measure"] == {"name": "loss", "label": "Ranking loss", "unit": "nats"}
    logged = [frame.json for frame in frames if frame.event == "training.log"]
    assert all(0 <= row["accuracy"] <= 1 for row in logged if "loss" in row)
    evaluated = [row for row in logged if "evalLoss" in row]
    assert [row["evalAccuracy"] for row in evaluated][-1] == 1
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    task = evaluation["heldOut"]
    assert math.isclose(task["adapter"], evaluated[-1]["evalLoss"], abs_tol=1e-4)
    assert task["verdict"] == "better"
    assert task["measure"] == {"label": "Ranking loss", "unit": "nats"}
    methods = backend.call("GET", "/v1/capabilities").json["methods"]
    assert {"name": "ranking", "label": "Ranking"} in methods
    assert {"name": "sft", "label": "Supervised fine-tuning"} in methods
    assert evaluation["general"]["base"] > task["base"]  # which is a loss a token, not one of pairs
