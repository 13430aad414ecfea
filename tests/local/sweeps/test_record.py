"""Records of sweeps on disk: each is read exactly, and a damaged one fails alone and says so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.schema import SchemaError
from arkor_dev.local.jobs.job_folder import JobFile
from arkor_dev.local.sweeps import record
from arkor_dev.local.sweeps.record import START, Estimate, SweepRecord, Trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG: Any = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}
NAME = "sweep_00000000000a"


def sweep(name: str = NAME) -> SweepRecord:
    return SweepRecord(
        name, "s", "2026-01-01T00:00:00Z", 1e9, CONFIG, {"learningRate": [1e-5, 1e-3]}, 7, 2e9, 20,
        estimate=Estimate(9, 1.0, 2.0), rungs=[1 / 3, 1.0], level=1, best=1, paces=[1.1],
        facts={"rows": "a", "tokens": "b"}, measure={"label": "reward", "unit": "", "higher": True},
        trials=[
            Trial(0, {}, "job_000000000000", rung=1, losses=[2.0], ends=["t"], steps=[3]),
            Trial(1, {"learningRate": 1e-3}, "job_000000000001", error="It failed"),
            Trial(500, {}, "job_000000000002", START, 2**40, 1, repeats=1),
        ],
        importances=[{"setting": "learningRate", "mean": 0.5, "low": 0.4, "high": 0.6}],
        verdict={"verdict": "better", "sentence": "x"}, data="hash",
    )  # fmt: skip


def test_a_sweep_record_round_trips(tmp_path: Path) -> None:
    record.write(tmp_path, sweep())
    (tmp_path / record.SWEEPS / "sweep_00000000000b").mkdir()  # without a record, not a sweep
    assert record.read_all(tmp_path) == {NAME: sweep()}


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "state must be one of": lambda it: it.update(state="lost"),
    "trials[0].losses must be a list": lambda it: it["trials"][0].update(losses="2.0"),
    "trials[0].losses must be a list of": lambda it: it["trials"][0].update(losses=[None]),
    "losses, ends and steps": lambda it: it["trials"][0].update(losses=[2.0, 1.0]),
    "trials must be a list": lambda it: it["trials"].append([3]),
    "trials[1].rung must be": lambda it: it["trials"][1].update(rung=True),
    "beyond the last rung": lambda it: it["trials"][1].update(rung=2),
    "best must be": lambda it: it.update(best=2),
    "level must be": lambda it: it.update(level=3),
    "deadline must be": lambda it: it.update(deadline=1e300),
    "began must be": lambda it: it.update(began="now"),
    "created must be": lambda it: it.update(created="yesterday"),
    "estimate.steps must be": lambda it: it["estimate"].update(steps=0),
    "space.learningRate": lambda it: it["space"].update(learningRate=7),
    "model": lambda it: it["config"].pop("model"),
    "facts must be": lambda it: it["facts"].update(rows=3),
    "verdict must be": lambda it: it.update(verdict={}),
    "data is missing": lambda it: it.pop("data"),
    "belongs to the sweep": lambda it: it.update(id="sweep_00000000000c"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_record_names_what_is_wrong(tmp_path: Path, reason: str) -> None:
    record.write(tmp_path, sweep())
    path = tmp_path / record.SWEEPS / NAME / "sweep.json"
    value = json.loads(path.read_text())
    DAMAGES[reason](value)
    with pytest.raises(SchemaError, match=re.escape(reason)):
        record.decode(value, NAME)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"trials": 3}', b"[" * 100_000])
def test_a_damaged_sweep_fails_alone(tmp_path: Path, content: bytes) -> None:
    record.write(tmp_path, sweep())
    other = sweep("sweep_00000000000b")
    record.write(tmp_path, other)
    path = tmp_path / record.SWEEPS / NAME / "sweep.json"
    path.write_bytes(content)
    damaged, sound = record.read_all(tmp_path).values()
    assert sound == other
    assert (damaged.id, damaged.state, damaged.trials) == (NAME, "failed", [])
    assert f"{path} is damaged" in str(damaged.error)
    assert "Restore that file" in str(damaged.error)
    assert path.read_bytes() == content
    record.delete(tmp_path, NAME)
    assert list(record.read_all(tmp_path)) == [other.id]


def test_a_linked_record_is_not_followed(tmp_path: Path) -> None:
    record.write(tmp_path, sweep())
    file = JobFile(tmp_path / record.SWEEPS / NAME, "sweep.json")
    file.path.rename(tmp_path / "elsewhere")
    file.path.symlink_to(tmp_path / "elsewhere")
    assert record.read_all(tmp_path)[NAME].state == "failed"
