"""What may be asked of a job, and what is said of what may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ArkorError, BadRequestError, status_of
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.forms import FORMS
from arkor_dev.data.reviews import FILE
from arkor_dev.data.sources import SourceError
from arkor_dev.local.checkpoints.origin import FileHashes, hash_of_data
from arkor_dev.local.jobs.job_config import check_config, check_files, with_current_reviews
from arkor_dev.local.training.rows.datasets import load_rows

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {"model": "m", "datasetSource": {"type": "file", "path": "d.jsonl"}}

BAD: list[tuple[Any, str]] = [
    (None, "config must be an object"),
    ([], "config must be an object"),
    ({**GOOD, "model": ""}, "config.model must be a model's name or folder"),
    (
        {**GOOD, "model": 3},
        "config.model must be a model's name or folder, as one line of text, 300 characters at most, not 3",
    ),
    ({"datasetSource": GOOD["datasetSource"]}, "config.model is missing: it must be a model's name"),
    ({"model": "m"}, "config.datasetSource must be a JSON object, not null"),
    (
        {**GOOD, "datasetSource": {"type": "ftp"}},
        'config.datasetSource.type must be one of "file", "huggingface", "blob", "list", not "ftp"',
    ),
    ({**GOOD, "datasetSource": {"type": "file"}}, "config.datasetSource.path is missing"),
    (
        {**GOOD, "datasetSource": {"type": "huggingface", "name": " "}},
        "config.datasetSource.name must be text that is not blank",
    ),
    (
        {**GOOD, "datasetSource": {"type": "blob", "url": "file:///etc/passwd"}},
        "datasetSource.url must be an address that begins with http:// or https://",
    ),
    (
        {**GOOD, "datasetSource": {"type": "file", "path": "d", "split": 1}},
        "datasetSource.split must be text",
    ),
    (
        {**GOOD, "datasetSource": {"type": "file", "path": "d", "weight": -1}},
        "config.datasetSource.weight must be a number from 0 to 100, not -1",
    ),
    (
        {**GOOD, "datasetSource": {"type": "file", "path": "d", "weight": float("nan")}},
        "config.datasetSource.weight must be a number from 0 to 100",
    ),
    (
        {**GOOD, "evalDatasetSource": {"type": "file", "path": "d", "weight": 1}},
        "config.evalDatasetSource must have no weight",
    ),
    ({**GOOD, "maxSteps": 0}, "config.maxSteps must be a whole number from 1 to 10,000,000, not 0"),
    ({**GOOD, "maxSteps": "40"}, 'config.maxSteps must be a whole number from 1 to 10,000,000, not "40"'),
    ({**GOOD, "maxSteps": True}, "config.maxSteps must be a whole number"),
    ({**GOOD, "maxSteps": 1.5}, "config.maxSteps must be a whole number"),
    ({**GOOD, "learningRate": 0}, "config.learningRate must be a number above 0, 1 at most, not 0"),
    ({**GOOD, "learningRate": float("nan")}, "config.learningRate must be a number"),
    ({**GOOD, "learningRate": float("inf")}, "config.learningRate must be a number"),
    ({**GOOD, "learningRate": 2}, "config.learningRate must be a number above 0, 1 at most, not 2"),
    ({**GOOD, "seed": 2**32}, "config.seed must be a whole number from 0 to 4,294,967,295"),
    ({**GOOD, "seed": -1}, "config.seed must be a whole number from 0"),
    ({**GOOD, "numTrainEpochs": -1}, "config.numTrainEpochs must be a number above 0"),
    ({**GOOD, "weightDecay": 2}, "config.weightDecay must be a number from 0 to 1, not 2"),
    (
        {**GOOD, "datasetSplit": 0.95},
        "config.datasetSplit must be a fraction of the rows, from 0 to 0.9, not 0.95",
    ),
    ({**GOOD, "datasetSplit": -0.1}, "config.datasetSplit must be a fraction of the rows, from 0"),
    (
        {**GOOD, "datasetSplit": True},
        "config.datasetSplit must be a fraction of the rows, from 0 to 0.9, not true",
    ),
    ({**GOOD, "batchSize": 100_000}, "config.batchSize must be a whole number from 1 to 1,024"),
    ({**GOOD, "maxLength": 1}, "config.maxLength must be a whole number from 8"),
    ({**GOOD, "loraR": -8}, "config.loraR must be a whole number from 1"),
    ({**GOOD, "lrSchedulerType": "wild"}, 'config.lrSchedulerType must be one of "linear", "cosine"'),
    (
        {**GOOD, "optim": "rmsprop"},
        'config.optim must be one of "adamw", "adamw_torch", "adamw_torch_fused", ',
    ),
    (
        {**GOOD, "numberFormat": "int8"},
        'config.numberFormat must be one of "auto", "float32", "bfloat16", "float16", not "int8"',
    ),
    ({**GOOD, "dryRun": "yes"}, "config.dryRun must be true or false"),
    ({**GOOD, "setByHand": "loraR"}, 'config.setByHand must be a list of fields, not "loraR"'),
    ({**GOOD, "setByHand": [1]}, "config.setByHand must be a list of fields, not [1]"),
]


@pytest.mark.parametrize(("config", "reason"), BAD)
def test_an_invalid_value_is_refused_by_its_field(config: Any, reason: str) -> None:
    with pytest.raises(ArkorError) as caught:
        check_config(config)
    assert status_of(caught.value) == 400
    assert reason in caught.value.text


def test_a_file_in_two_sources_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("x")
    part = {"type": "file", "path": "d"}
    config = check_config({**GOOD, "datasetSource": {"type": "list", "sources": [part, part]}})
    with pytest.raises(BadRequestError, match=r'config.datasetSource "d" is in the list twice'):
        check_files(config, tmp_path)


def test_unknown_fields_and_nulls_are_accepted() -> None:
    config = {**GOOD, "futureField": {"a": 1}, "maxSteps": None, "dryRun": None, "optim": "adamw_8bit"}
    assert check_config(config) is config
    assert check_config({**GOOD, "maxSteps": -1})["maxSteps"] == -1


def test_a_job_keeps_the_reviews_of_its_creation(tmp_path: Path) -> None:
    """Judging while it is paused changes neither its rows nor what it depends on; rewriting the file does."""
    (tmp_path / "data").mkdir()
    rows = [json.dumps({"prompt": f"Question {n}?", "completion": f"{n}"}) for n in range(4)]
    (tmp_path / "data/a.jsonl").write_text("\n".join(rows))

    def judge(number: int, verdict: str) -> None:
        with (tmp_path / FILE).open("a") as file:
            told = {"row": f"{row_hash(rows[number].encode()):016x}", "verdict": verdict}
            file.write(json.dumps(told) + "\n")

    def job(**source: Any) -> Any:
        file = {"type": "file", "path": "data/a.jsonl", **source}
        listed = {"type": "list", "sources": [file, {"type": "blob", "url": "https://localhost/x"}]}
        config = check_config({"model": "m", "datasetSource": listed, "evalDatasetSource": file})
        return with_current_reviews(config, tmp_path)["evalDatasetSource"]

    def answers(source: Any) -> list[str]:
        read = load_rows(source, tmp_path, tmp_path, lambda *_: None, FORMS, None)
        return [row.messages[-1]["content"] for row in read]

    def state(source: Any) -> str:
        return hash_of_data({"datasetSource": source}, tmp_path, FileHashes(tmp_path))

    before = job()
    judge(0, "rejected")
    judge(1, "accepted")
    default, accepted, every = job(), job(only="accepted"), job(only="all")
    assert before["reviewed"] == 0
    assert "reviewed" not in every
    states = [state(source) for source in (default, accepted)]
    judge(1, "rejected")
    judge(2, "accepted")
    assert [answers(each) for each in (before, default, accepted, every)] == [
        ["0", "1", "2", "3"], ["1", "2", "3"], ["1"], ["0", "1", "2", "3"],
    ]  # fmt: skip
    assert (answers(job()), answers(job(only="accepted"))) == (["2", "3"], ["2"])
    assert [state(source) for source in (default, accepted)] == states
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace("rejected", "flagged", 1))
    with pytest.raises(SourceError, match="rewritten since the job was made"):
        state(default)
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace("flagged", "accepted", 1))
    assert state(default) != states[0]
    with (tmp_path / FILE).open("a") as file:
        file.write("{")
    with pytest.raises(ArkorError, match=r"line 5: not JSON"):
        job()
