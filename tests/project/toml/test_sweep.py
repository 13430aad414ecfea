"""``[sweep]`` of arkor.toml: what is read, and what is said of each error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.sweep_space import space_problem
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.toml.sweep import SweepTable, deadline_of, load_sweep

if TYPE_CHECKING:
    from pathlib import Path

TRAINER = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = { url = "https://example.org/a" }\n'
SWEEP = '[sweep]\ntrainer = "bot"\nuntil = "07:00"\njobs = 20\n[sweep.space]\nlora.r = [8, 16]\n'


def test_a_sweep_table_is_read(tmp_path: Path) -> None:
    text = (
        f'{TRAINER}{SWEEP}learning_rate = {{ low = 1e-4, high = 5e-3, log = true }}\n"lora.alpha" = [8, 32]\n'
    )
    (tmp_path / "arkor.toml").write_text(text)
    space: Any = {
        "loraR": [8, 16],
        "learningRate": {"low": 1e-4, "high": 5e-3, "log": True},
        "loraAlpha": [8, 32],
    }
    found = load_sweep(tmp_path, load_trainers(tmp_path))
    assert found == SweepTable("bot", "07:00", None, 20, space)
    assert found.written() == {"trainer": "bot", "until": "07:00", "jobs": 20, "space": space}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"bot"\nuntil', '"bit"\nuntil', "arkor.toml:6: there is no trainer \"bit\". Did you mean bot?"),
        ('"07:00"', '"25:00"', 'arkor.toml:7: sweep.until = "25:00" is invalid; expected a time of day'),
        ('until = "07:00"\njobs = 20\n', "", "[sweep] has no end"),
        ("jobs = 20", "hours = 8", "until and hours are both set"),
        ("jobs = 20", "job = 20", "unknown key sweep.job. Did you mean jobs?"),
        ("[sweep.space]\nlora.r = [8, 16]\n", "", "[sweep] has no settings to search"),
        ("lora.r = [8, 16]", "lora.q = [8, 16]", 'arkor.toml:10: unknown setting "lora.q".'),
        ("lora.r = [8, 16]", "lora.r = [8, 0]", "lora.r must be a whole number from 1 to 1,024, not 0"),
        ("lora.r = [8, 16]", "seed = [1, 2]", "seed is the same in all trials"),
        ("lora.r = [8, 16]", "lora.r = 8", "lora.r must be a list of values"),
        ("lora.r = [8, 16]", "learning_rate = { low = 0, high = 1 }", "learning_rate must be a number above"),
        ("lora.r = [8, 16]", "weight_decay = { low = 0, high = 1, log = true }", "must begin above 0"),
        ("lora.r = [8, 16]", "beta = [0.1, 0.2]", 'beta has no effect with the method "sft"'),
    ],
)  # fmt: skip
def test_sweep_errors_are_reported_with_their_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = TRAINER + SWEEP
    assert old in text
    (tmp_path / "arkor.toml").write_text(text.replace(old, new))
    with pytest.raises(BadRequestError) as raised:
        load_trainers(tmp_path)
    assert said in raised.value.text


def test_a_deadline_is_the_next_occurrence_of_its_time() -> None:
    evening = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)
    assert deadline_of("07:00", None, evening) == datetime(2026, 11, 30, 7, tzinfo=UTC)
    assert deadline_of("23:15", None, evening) == datetime(2026, 11, 29, 23, 15, tzinfo=UTC)
    assert deadline_of(None, 1.5, evening) == datetime(2026, 11, 30, 0, 0, tzinfo=UTC)
    assert deadline_of("2026-12-01T07:00:00+00:00", None, evening) == datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert deadline_of(None, None, evening) is deadline_of("soon", None, evening) is None


def test_settings_that_change_the_measure_cannot_be_searched() -> None:
    """Another beta is another loss, except with rewards, where it only holds the model near its start."""
    beta = {"beta": [0.1, 0.2]}
    assert space_problem(beta, "grpo") is None
    assert space_problem({"learningRate": [1e-5, 1e-4]}, "dpo") is None
    for method in ("dpo", "kto", "cpo", "orpo"):
        field, fault = space_problem(beta, method) or ("", "")
        assert field == "beta"
        assert f'what "{method}" measures held-out rows by' in fault
    assert space_problem({"maxCompletionLength": [16, 32]}, "grpo")
