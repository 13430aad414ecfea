"""From a measurement to a forecast: steps, parts, what fits, and what is kept of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.gpus import Gpu
from arkor_dev.data.rows import Row
from arkor_dev.local.evaluation.base_losses import FILE
from arkor_dev.local.evaluation.general import TokenCounts
from arkor_dev.local.forecast import measurement
from arkor_dev.local.forecast.advice import refusal
from arkor_dev.local.forecast.answer_costs import ComparisonCosts, GenerationSpeed
from arkor_dev.local.forecast.estimate import estimate, fit_together
from arkor_dev.local.forecast.linear_models import LinearModel, Sizes, shape_of
from arkor_dev.local.forecast.measurement import FILE_NAME, Measurement, MeasurementStore, key_of
from arkor_dev.local.forecast.worker import LOOKED_ROWS, sample_of
from arkor_dev.local.jobs.running.job_runner import RunningJob
from arkor_dev.local.modeling.gpu_count import CONTEXT
from arkor_dev.local.workers import machine
from arkor_dev.local.workers.machine import Memory, memory

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig

MB = 10**6
CONFIG: JobConfig = {
    "model": "tiny",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
    "batchSize": 8,
    "maxSteps": 20,
    "evalSteps": 6,
    "saveSteps": 5,
}
SIZES = Sizes(
    layers=30, hidden=576, vocabulary=49152, parameters=107_000_000, saved=4 * (10 * 576 + 4 * 1536)
)
ROWS = [(512 - 32 * place, 256) for place in range(8)]
HELD = SIZES.saved_bytes(shape_of(ROWS, padded=False))
MEASURED = Measurement(
    device="cpu",
    loading=5.0,
    first=[2.0, 4.0, 3.0],
    mean=3.0,
    evaluation=1.5,
    saving=0.1,
    checkpoint=11 * MB,
    adapter=4 * MB,
    peaks=[(1, 3000 * MB), (3, 8000 * MB)],
    worst=round(900 * MB + HELD),
    memory=LinearModel(900e6, 1.0),
    sizes=SIZES,
    longest=ROWS,
    padded=False,
    shared=0,
    weights=540 * MB,
    rows=90,
    units=90,
    packed_to=0,
    held_out=10,
    cut=2,
    tokens=30_000,
    learned=15_000,
    looked=100,
    lengths=[120] * 60 + list(range(130, 540, 10)),
    recomputed=LinearModel(950e6, 1.0),
    slower=1.31,
)
PLENTY = Memory(64 * 10**9, 64 * 10**9)
COMPARING = ComparisonCosts(
    TokenCounts(step=600, held_out=1500, question=60),
    2.0,
    0.5,
    0.1,
    {0: "rows", -1: "again", 64: "all", 48: "most", 32: "some", 24: "few"},
)


def test_one_measurement_forecasts_any_number_of_steps() -> None:
    forecast = estimate(MEASURED, CONFIG, PLENTY, 10**12, busy=False)
    assert forecast["trainingSeconds"] == 2 + 4 + 3 + 17 * 3
    assert forecast["evaluationSeconds"] == 4 * 1.5  # after 6, 12, 18 and 20
    compared = estimate(replace(MEASURED, comparing=COMPARING), CONFIG, PLENTY, 10**12, busy=False)
    # The base beside the adapter, at the end, on as few questions as there may be: the run is short.
    assert compared["evaluationSeconds"] == pytest.approx(4 * 1.5 + 2.5 + 2 * 24 * 0.1)
    assert compared["seconds"] == pytest.approx(forecast["seconds"] + 7.3)
    longer = estimate(
        replace(MEASURED, comparing=COMPARING), {**CONFIG, "maxSteps": 600}, PLENTY, None, busy=False
    )
    assert longer["evaluationSeconds"] == pytest.approx(100 * 1.5 + 2.5 + 2 * 64 * 0.1)
    assert forecast["savingSeconds"] == pytest.approx(5 * 0.1)  # the adapter at the end is one more
    assert forecast["seconds"] == pytest.approx(5 + 60 + 6 + 0.5)
    assert (forecast["checkpoints"], forecast["diskBytes"]) == (4, 4 * 11 * MB + 4 * MB)
    assert forecast["fits"] is True
    assert "fixes" not in forecast
    # Without a checkpoint of the last step its state is kept by itself.
    other = estimate(MEASURED, {**CONFIG, "saveSteps": 6}, PLENTY, 10**12, busy=False)
    assert (other["checkpoints"], other["diskBytes"]) == (3, 3 * 11 * MB + 4 * MB + 7 * MB)
    few = estimate(MEASURED, {**CONFIG, "saveTotalLimit": 2}, PLENTY, 10**12, busy=False)
    assert few["checkpoints"] == 3  # the best one stays beside the newest
    short = estimate(MEASURED, {**CONFIG, "maxSteps": 2, "saveTotalLimit": 1}, PLENTY, 10**12, busy=False)
    assert short["trainingSeconds"] == 6
    assert short["memory"]["peakBytes"] == 3000 * MB
    assert forecast["memory"]["peakBytes"] == MEASURED.worst


def test_a_forecast_says_what_it_counts_at_most_and_leaves_out() -> None:
    judged = {"name": "polite", "path": "x", "metric": "rubric", "rubric": "Polite."}
    config: Any = {**CONFIG, "method": "grpo", "maxResampleTimes": 3, "evaluations": [judged]}
    assert estimate(MEASURED, config, PLENTY, 10**12, busy=False)["notes"] == [
        "at most, if all prompts are replaced 3 times per step",
        "without the time of the judge",
    ]
    assert "notes" not in estimate(MEASURED, CONFIG, PLENTY, 10**12, busy=False)


def test_spreading_is_proposed_for_large_models() -> None:
    on_gpu = replace(MEASURED, device="cuda", host=300 * MB, device_total=1000 * MB)

    def fixes_of(gpus: int, **config: Any) -> list[Any]:
        told: Any = dict(CONFIG) | config
        return list(estimate(on_gpu, told, PLENTY, None, False, 6000 * MB, gpus).get("fixes", []))

    spread = fixes_of(3)[0]
    assert spread["settings"] == {"gpus": 2}
    assert "spread over 2 GPUs" in spread["words"]
    assert 0.5 * on_gpu.worst < spread["peakBytes"] < 0.55 * on_gpu.worst
    for fixes in (fixes_of(1), fixes_of(3, workers=2)):
        assert not [fix for fix in fixes if "gpus" in fix["settings"]]


def test_fixes_of_a_job_streamed_to_a_gpu_count_the_layers_that_they_load() -> None:
    """Two of them were measured. In 4 bit, and spread over several GPUs, all are loaded."""
    on_gpu = replace(MEASURED, device="cuda", host=300 * MB, device_total=6000 * MB, streams=True)
    config: JobConfig = {**CONFIG, "gpus": 1}

    def peaks_of(weights: int) -> dict[str, int]:
        large = replace(on_gpu, weights=weights)
        fixes = estimate(large, config, PLENTY, None, False, round(0.9 * MEASURED.worst), 8)["fixes"]
        return {field: fix["peakBytes"] for fix in fixes for field in fix["settings"]}

    too_large = peaks_of(80_000 * MB)
    assert too_large
    assert too_large.keys().isdisjoint({"loadIn4bit", "gpus"})
    spread = peaks_of(8_000 * MB)
    assert "loadIn4bit" not in spread
    assert spread["gpus"] > MEASURED.worst / 8 + 1_000 * MB


def test_a_spread_job_is_forecast_as_such() -> None:
    total = round(0.6 * MEASURED.worst) + CONTEXT
    large = replace(MEASURED, device="cuda", host=300 * MB, device_total=total)
    spread = estimate(large, CONFIG, PLENTY, None, False, total, 3)
    assert spread["fits"]
    assert 0.5 * large.worst < spread["device"]["peakBytes"] < 0.6 * large.worst
    assert spread["gpus"] == [{"peakBytes": spread["device"]["peakBytes"], "totalBytes": total}] * 2
    assert fit_together([(large, RunningJob(CONFIG, True))], PLENTY.free or 0, 2)
    one_gpu: JobConfig = {**CONFIG, "gpus": 1}
    workers: JobConfig = {**CONFIG, "workers": 2}
    for gpus, config in ((1, CONFIG), (3, one_gpu), (3, workers)):
        one = estimate(large, config, PLENTY, None, False, total, gpus)
        assert (one["fits"], one["device"]["peakBytes"]) == (False, large.worst)
        assert "gpus" not in one


WRITING = GenerationSpeed.of((4, 0.2, 0.05), (8, 0.4, 0.07), 50)


def test_generation_speed_is_interpolated_over_batch_sizes() -> None:
    assert (WRITING.read, WRITING.first(4, 50)) == (0.001, 0.2)
    assert [WRITING.token(rows) for rows in (4, 8, 16)] == pytest.approx([0.05, 0.07, 0.11])
    # A batch of one question of 20 tokens: base and adapter read it, and write 128 and 30 tokens.
    assert WRITING.answered([[(20, 30)]]) == pytest.approx(0.6 + 2 * 0.02 + 158 * 0.035)
    assert WRITING.answered([]) == 0


def test_sample_answers_are_in_the_forecast() -> None:
    measured = replace(MEASURED, writing=WRITING)
    plain = estimate(MEASURED, CONFIG, PLENTY, 10**12, busy=False)
    forecast = estimate(measured, CONFIG, PLENTY, 10**12, busy=False)
    reading = WRITING.first(3, 50)
    # Base and final adapter have 64 tokens each; for the three checkpoints in between there is no time.
    assert forecast["samplesSeconds"] == pytest.approx(2 * (reading + 64 * WRITING.token(3)), abs=0.06)
    assert forecast["seconds"] == pytest.approx(plain["seconds"] + forecast["samplesSeconds"])
    short = estimate(measured, {**CONFIG, "maxSteps": 2, "saveSteps": 0}, PLENTY, None, busy=False)
    assert short["samplesSeconds"] == pytest.approx(forecast["samplesSeconds"])
    long = estimate(measured, {**CONFIG, "maxSteps": 2000, "saveSteps": 500}, PLENTY, None, busy=False)
    assert long["samplesSeconds"] == pytest.approx(5 * (reading + 128 * WRITING.token(3)), abs=0.06)
    more = estimate(measured, {**CONFIG, "samples": ["q"] * 8, "maxSteps": 2000}, PLENTY, None, busy=False)
    assert more["samplesSeconds"] > long["samplesSeconds"]
    for samples in ("off", ["off"]):
        off = estimate(measured, {**CONFIG, "samples": samples}, PLENTY, None, busy=False)
        assert off["samplesSeconds"] == 0
    assert Measurement.of_json(json.loads(json.dumps(measured.as_json()))) == measured


def test_general_questions_are_in_the_forecast() -> None:
    keys = {"16/96": "long", "16/64": "", "8/64": "", "8/32": "short"}
    asked = replace(COMPARING, longest_question=30, answers=keys)
    measured = replace(MEASURED, comparing=asked, writing=WRITING)
    plain = replace(measured, comparing=COMPARING)

    def more(known: str, **changes: Any) -> float:
        with_answers = replace(measured, comparing=asked.with_cached([known]))
        config: Any = dict(CONFIG) | changes
        told = [
            estimate(each, config, PLENTY, None, busy=False)["evaluationSeconds"]
            for each in (with_answers, plain)
        ]
        return told[0] - told[1]

    # 8 questions of 30 tokens, and 32 tokens of 0.07 s: by the adapter, and by a base that is not known.
    assert more("short") == pytest.approx(8 * 30 * 0.001 + 32 * 0.07, abs=0.1)
    assert more("") == pytest.approx(2 * (8 * 30 * 0.001 + 32 * 0.07), abs=0.1)
    asked = replace(asked, positions=2)  # of a thinking switch
    assert more("short") == pytest.approx(2 * (8 * 30 * 0.001 + 32 * 0.07), abs=0.1)
    asked = replace(asked, positions=1)
    assert more("long", maxSteps=20_000) == pytest.approx(16 * 30 * 0.001 + 96 * 0.11, abs=0.1)
    assert (
        estimate(replace(measured, writing=None), CONFIG, PLENTY, None, busy=False)["evaluationSeconds"] > 0
    )
    assert Measurement.of_json(json.loads(json.dumps(measured.as_json()))) == measured


def test_evaluation_sets_are_in_the_forecast() -> None:
    measured = replace(MEASURED, comparing=replace(COMPARING, own=12.0))
    plain = estimate(replace(MEASURED, comparing=COMPARING), CONFIG, PLENTY, 10**12, busy=False)
    forecast = estimate(measured, CONFIG, PLENTY, 10**12, busy=False)
    assert forecast["evaluationSeconds"] == pytest.approx(plain["evaluationSeconds"] + 12)
    assert Measurement.of_json(json.loads(json.dumps(measured.as_json()))) == measured


def test_concurrent_jobs_must_fit_together() -> None:
    need = MEASURED.peak(20)
    new, other = (
        RunningJob(CONFIG, same_device=True),
        RunningJob({**CONFIG, "maxSteps": 2}, same_device=False),
    )
    both = [(MEASURED, new), (MEASURED, other)]
    assert fit_together(both, round(1.06 * (need + 3000 * MB)))
    assert not fit_together(both, round(1.04 * (need + 3000 * MB)))
    gpu = replace(MEASURED, device="cuda", host=700 * MB, device_total=need + 3000 * MB)
    on_gpus = [(gpu, new), (gpu, other)]
    assert fit_together(on_gpus, 1500 * MB), "each has a device of its own"
    assert not fit_together(on_gpus, 1400 * MB), "and both share the machine's memory"
    assert not fit_together([(gpu, new), (gpu, other._replace(same_device=True))], 10**12)


def test_a_full_disk_has_no_memory_fix() -> None:
    forecast = estimate(MEASURED, CONFIG, PLENTY, MB, busy=False)
    assert forecast["fits"] is False
    assert "fixes" not in forecast


def test_unknown_memory_gives_no_judgement() -> None:
    assert "fits" not in estimate(MEASURED, CONFIG, PLENTY, None, busy=True)
    assert "fits" not in estimate(MEASURED, CONFIG, Memory(None, None), None, busy=False)


def test_fixes_are_the_largest_that_fit() -> None:
    room = 4000 * MB
    forecast = estimate(MEASURED, CONFIG, Memory(room, room), None, busy=False)
    assert forecast["fits"] is False
    fixes = forecast["fixes"]
    assert all(1.05 * fix["peakBytes"] <= room for fix in fixes)
    fewer, checkpointing, shorter = (fix["settings"] for fix in fixes)
    rows, most = fewer["batchSize"], shorter["maxLength"]
    assert isinstance(rows, int)
    assert isinstance(most, int)
    assert 900 * MB + SIZES.saved_bytes(shape_of(ROWS[:rows], padded=False)) <= room / 1.05
    assert 900 * MB + SIZES.saved_bytes(shape_of(ROWS[: rows + 1], padded=False)) > room / 1.05
    assert checkpointing == {"gradientCheckpointing": True}
    assert list(shorter) == ["maxLength"]
    assert fewer["gradientAccumulationSteps"] == -(-8 // rows)
    assert fixes[1]["words"] == "gradient checkpointing (31 % slower)"
    cut = sum(length > most for length in MEASURED.lengths)
    assert f"(truncates {round(100 * cut / 101)} % of the rows)" in fixes[2]["words"]
    # A length that would cut most of the rows is none.
    alike = replace(MEASURED, lengths=[500] * 101)
    found = estimate(alike, CONFIG, Memory(room, room), None, busy=False)["fixes"]
    assert not [fix for fix in found if "maxLength" in fix["settings"]]


def test_fixes_are_combined_or_none() -> None:
    tight = Memory(1400 * MB, None)
    (fix,) = estimate(MEASURED, CONFIG, tight, None, busy=False)["fixes"][:1]
    assert set(fix["settings"]) >= {"batchSize"} or set(fix["settings"]) >= {"gradientCheckpointing"}
    assert 1.05 * fix["peakBytes"] <= 1400 * MB
    assert estimate(MEASURED, CONFIG, Memory(800 * MB, None), None, busy=False)["fixes"] == []


def test_offloading_is_proposed_after_checkpointing() -> None:
    gpu = replace(MEASURED, device="cuda", host=700 * MB, device_total=9000 * MB)
    inputs = replace(SIZES, recomputed=True).saved_bytes(shape_of(ROWS, padded=False))
    both = {"gradientCheckpointing": True, "activationOffloading": True}

    def proposed(room: float, measured: Measurement = gpu, **config: Any) -> list[Any]:
        changed: Any = dict(CONFIG) | config
        told = estimate(measured, changed, PLENTY, None, False, round(room) + CONTEXT)
        return [fix["settings"] for fix in told["fixes"]]

    enough = 1.05 * (950e6 + inputs)
    assert both not in proposed(enough + MB)
    assert both in proposed(enough - MB)
    assert both not in proposed(enough - MB, activationOffloading=True)
    again = replace(gpu, sizes=replace(SIZES, recomputed=True), recomputed=None, worst=round(900e6 + inputs))
    found = proposed(1.05 * again.worst - MB, again, gradientCheckpointing=True)
    assert {"activationOffloading": True} in found


def test_on_a_gpu_its_memory_counts() -> None:
    """And what it has free is looked up each time: what the measurement found was a moment's."""
    gpu = replace(MEASURED, device="cuda", host=700 * MB, gpu="GPU-1", device_total=8000 * MB)
    forecast = estimate(gpu, CONFIG, PLENTY, None, busy=False, gpu=4500 * MB)
    assert forecast["device"] == {
        "name": "cuda",
        "peakBytes": MEASURED.worst,
        "freeBytes": 4000 * MB,
        "totalBytes": 8000 * MB,
    }
    assert forecast["memory"]["peakBytes"] == 700 * MB
    assert forecast["fits"] is False
    assert estimate(gpu, CONFIG, PLENTY, None, busy=False, gpu=64_000 * MB)["fits"]
    unknown = estimate(gpu, CONFIG, PLENTY, None, busy=False)
    assert unknown["device"]["freeBytes"] is None
    assert "fits" not in unknown


def test_a_run_corrects_its_forecast_within_limits() -> None:
    later = MEASURED.corrected(1.44, 1.1)
    assert estimate(later, CONFIG, PLENTY, None, busy=False)["seconds"] == pytest.approx(71.5 * 1.2, abs=0.2)
    assert later.peak(20) == round(MEASURED.worst * 1.1)
    assert MEASURED.corrected(100, 1).late == pytest.approx(2**0.5)


def test_measurements_are_stored_per_version(tmp_path: Path) -> None:
    MeasurementStore(tmp_path).put("one", MEASURED)
    kept = MeasurementStore(tmp_path)
    assert kept.get("one") == MEASURED
    assert kept.get("two") is None
    for text in ("not json", "[]", '{"one": {"device": "cpu"}}', '{"one": 3}'):
        (tmp_path / FILE_NAME).write_text(text)
        assert MeasurementStore(tmp_path).get("one") is None


def test_stored_base_answers_are_not_forecast(tmp_path: Path) -> None:
    measured = replace(MEASURED, comparing=COMPARING)
    MeasurementStore(tmp_path).put("one", measured)

    def seconds() -> float:
        found = MeasurementStore(tmp_path).get("one")
        assert found
        return estimate(found, CONFIG, PLENTY, None, busy=False)["evaluationSeconds"] - 4 * 1.5

    assert MeasurementStore(tmp_path).get("one") == measured
    assert seconds() == pytest.approx(2.5 + 2 * 24 * 0.1)
    (tmp_path / FILE).write_text(json.dumps({"few": [1.0] * 24, "other": [2.0]}))
    assert seconds() == pytest.approx(2.5 + 24 * 0.1)
    (tmp_path / FILE).write_text(json.dumps({"few": [1.0] * 24, "rows": [2.0], "again": [2.0]}))
    assert seconds() == pytest.approx(24 * 0.1)
    found = MeasurementStore(tmp_path).get("one")
    assert found
    MeasurementStore(tmp_path).put("one", found.corrected(1.0, 1.0))
    (tmp_path / FILE).unlink()
    assert seconds() == pytest.approx(2.5 + 2 * 24 * 0.1), "what is known is not kept with the measurement"


def test_the_measurement_key_has_everything_that_changes_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tmp_path / "model", tmp_path / "rows.jsonl"
    model.mkdir()
    (model / "config.json").write_text("{}")
    data.write_text("{}\n")

    def key(**changes: object) -> str:
        config: Any = dict(CONFIG) | changes
        return key_of(config, model, [data])

    first = key()
    for same in ({"maxSteps": 3}, {"learningRate": 1.0}, {"loraR": 8}, {"aFieldThatNobodyKnows": 1}):
        assert key(**same) == first, same
    own = {"evaluations": [{"name": "own", "path": "data/own.jsonl"}]}
    for other in ({"batchSize": 2}, {"loraR": 4}, {"maxLength": 64}, {"evalSteps": 0}, {"seed": 1}, own):
        assert key(**other) != first, other
    monkeypatch.setattr(machine, "speed_factors", machine.speed_factors.__wrapped__)  # each time anew
    monkeypatch.setattr(measurement, "speed_factors", machine.speed_factors)
    monkeypatch.setattr(machine, "nvidia_gpus", lambda: [Gpu("Tesla T4", "GPU-1")])
    assert key() != first, "another GPU"
    monkeypatch.undo()
    assert key() == first
    data.write_text("{}\n{}\n")
    assert key() != first


def test_large_data_are_sampled_with_their_longest_rows() -> None:
    rows = [Row([{"role": "user", "content": "x" * (n % 97)}], f"line {n}") for n in range(5000)]
    some, longest = sample_of(rows, 4, 1)
    assert (len(some), len(longest)) == (LOOKED_ROWS, 4)
    assert not {row.where for row in some} & {row.where for row in longest}
    assert all(len(row.messages[0]["content"]) == 96 for row in longest)
    assert sample_of(rows[:100], 4, 1) == (rows[:100], [])


def test_batch_shapes_count_padding() -> None:
    rows = [(100, 40), (60, 10), (50, 5)]
    assert shape_of(rows, padded=True) == (300, 30_000, 55)
    assert shape_of(rows, padded=False) == (210, 16_100, 55)
    assert shape_of(rows, padded=False, shared=20).tokens == 170


def test_a_linear_model_fits_and_never_falls() -> None:
    line = LinearModel.fit([(1, 12), (2, 14), (4, 18)])
    assert (line.base, line.slope) == pytest.approx((10, 2))
    assert LinearModel.fit([(1, 5), (2, 4)]).slope == 0
    assert LinearModel.fit([(2, 6)]).at(4) == 12
    assert LinearModel.fit([(1, 1), (2, 3)]).base == 0
    assert LinearModel.through_last([(100, 1100), (200, 1210)]).at(300) == pytest.approx(1320)
    # A plateau, or one point alone: as the sizes say, from the last one on.
    assert LinearModel.through_last([(100, 1100), (200, 1100)]).at(300) == pytest.approx(1110)
    assert LinearModel.through_last([(100, 1100)]).at(200) == 1200


def test_free_memory_is_the_tightest_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 8000 kB\nMemAvailable: 5000 kB\n")
    (tmp_path / "groups").write_text("4:memory:/mine/inner\n1:cpu:/\n0::/\n")
    group = tmp_path / "control" / "memory" / "mine"
    (group / "inner").mkdir(parents=True)
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "CONTROL", tmp_path / "control")
    assert memory() == Memory(5000 * 1024, 8000 * 1024)
    (group / "memory.limit_in_bytes").write_text("4000000")
    (group / "memory.usage_in_bytes").write_text("3000000")
    (group / "memory.stat").write_text("cache 1\ntotal_inactive_file 500000\n")
    assert memory() == Memory(1_500_000, 4_000_000)
    # The second version of control groups, with a limit on the process itself.
    (tmp_path / "groups").write_text("0::/own\n")
    own = tmp_path / "control" / "own"
    own.mkdir()
    (own / "memory.max").write_text("max")
    assert memory().free == 5000 * 1024
    (own / "memory.max").write_text("2000000")
    (own / "memory.current").write_text("1900000")
    (own / "memory.stat").write_text("inactive_file 0\n")
    assert memory() == Memory(100_000, 2_000_000)
    (tmp_path / "meminfo").unlink()
    assert memory().free == 100_000


def test_spare_memory_leaves_out_what_the_process_has_of_its_own_limit() -> None:
    code = (
        "import resource; from arkor_dev.local.workers.machine import memory, spare_memory; "
        "resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30)); held = bytearray(2**29); "
        "print(memory().free, spare_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    free, spare = map(int, done.stdout.split())
    assert free == 2**30
    assert 0 < spare < 2**29


STREAMED = replace(MEASURED, streamed=LinearModel(400e6, 1.0), streamed_slower=2.17)
PEAK_STREAMED = 400e6 + replace(SIZES, recomputed=True).saved_bytes(shape_of(ROWS, padded=False))


def test_a_job_that_fits_only_with_streamed_layers_is_not_refused() -> None:
    """The forecast is then that of the streamed run, in memory and in time."""
    tight = Memory(round(1.2 * PEAK_STREAMED), 8 * 10**9)
    in_memory = estimate(MEASURED, CONFIG, tight, 10**12, busy=False)
    assert in_memory["fits"] is False
    assert "streaming" not in in_memory
    assert refusal(in_memory)
    streamed = estimate(STREAMED, CONFIG, tight, 10**12, busy=False)
    assert streamed["fits"] is True
    assert streamed["streaming"] == {"slower": 2.17}
    assert streamed["memory"]["peakBytes"] == pytest.approx(PEAK_STREAMED)
    assert streamed["trainingSeconds"] == pytest.approx(2.17 * in_memory["trainingSeconds"], abs=0.1)
    assert refusal(streamed) is None


def test_activations_for_which_there_is_room_are_forecast_as_kept() -> None:
    """They take memory and save time: fully where all fit, in part where some do."""
    keeping = replace(
        STREAMED, kept_ratio=0.6, weights=0, memory=replace(MEASURED.memory, base=90e9), worst=90 * 10**9
    )
    whole = keeping.sizes.kept_bytes(shape_of(ROWS, padded=False), 1)
    assert whole > 0

    def figures(free: float, **more: object) -> tuple[float, float]:
        config: JobConfig = {**CONFIG, **more}  # type: ignore[typeddict-item]
        forecast = estimate(keeping, config, Memory(round(free), 10**11), 10**12, busy=False)
        assert forecast["fits"] is True
        return round(forecast["memory"]["peakBytes"] - PEAK_STREAMED), forecast["streaming"]["slower"]

    assert figures(1.06 * PEAK_STREAMED) == (0, 2.17)
    assert figures(9 * (PEAK_STREAMED + whole)) == (round(whole), round(2.17 * 0.6, 2))
    reserve = replace(SIZES, recomputed=True).saved_bytes(shape_of(ROWS, padded=False))
    size, slower = figures(PEAK_STREAMED + (reserve + whole / 2) / 0.8)
    assert 0 < size < whole
    assert 2.17 * 0.6 < slower < 2.17
    # Those who ask for checkpointing get it.
    assert figures(9 * (PEAK_STREAMED + whole), gradientCheckpointing=True) == (0, 2.17)


def test_a_job_that_fits_anyhow_is_not_streamed() -> None:
    forecast = estimate(STREAMED, CONFIG, PLENTY, 10**12, busy=False)
    assert forecast["fits"] is True
    assert "streaming" not in forecast


def test_streaming_that_does_not_suffice_changes_nothing() -> None:
    tight = Memory(round(0.9 * PEAK_STREAMED), 8 * 10**9)
    forecast = estimate(STREAMED, CONFIG, tight, 10**12, busy=False)
    assert forecast["fits"] is False
    assert "streaming" not in forecast


def test_streaming_that_the_job_forbids_is_offered() -> None:
    tight = Memory(round(1.2 * PEAK_STREAMED), 8 * 10**9)
    forecast = estimate(STREAMED, {**CONFIG, "offload": "none"}, tight, 10**12, busy=False)
    assert forecast["fits"] is False
    offered = [fix for fix in forecast["fixes"] if fix["settings"] == {"offload": "layers"}]
    assert [fix["words"] for fix in offered] == ["streamed layers (2.2 times as long)"]


def test_a_measurement_of_streamed_layers_says_so() -> None:
    forecast = estimate(replace(MEASURED, streams=True), CONFIG, PLENTY, 10**12, busy=False)
    assert forecast["streaming"] == {}
    assert Measurement.of_json(json.loads(json.dumps(STREAMED.as_json()))) == STREAMED


def test_batches_that_share_a_reading_keep_at_most_the_size_of_two_layers() -> None:
    shape, sizes = shape_of([(100, 50)], padded=False), replace(SIZES, recomputed=True)
    inputs = 100 * sizes.layers * sizes.value * sizes.hidden
    two_layers = 2 * sizes.parameters / sizes.layers * sizes.value
    assert sizes.waiting_bytes(shape, 1) == 0
    assert sizes.waiting_bytes(shape, 2) == min(inputs, two_layers)
    assert sizes.waiting_bytes(shape, 10**6) == two_layers
    kept = 100 * sizes.layers * sizes.saved
    assert SIZES.waiting_bytes(shape, 10**6) == pytest.approx(two_layers * kept / inputs)
