"""``arkor-dev sweep``: what it asks of the backend, and what it prints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.cli.commands.sweep import _follow, lines_of, run_sweep
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.project.trust import trust

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

SWEEP: Any = {
    "id": "sweep_00000000000a", "name": "bot sweep", "state": "completed", "createdAt": "-",
    "config": {}, "space": {"loraR": [8, 16]}, "rungs": [3, 9],
    "trials": [
        {"number": 0, "role": "search", "settings": {}, "jobId": "a", "results": [{"step": 9, "loss": 2.0}]},
        {
            "number": 1, "role": "search", "settings": {"loraR": 16}, "jobId": "b",
            "results": [{"step": 3, "loss": 2.5}, {"step": 9, "loss": 1.5}],
        },
        {
            "number": 2, "role": "search", "settings": {"loraR": 64}, "jobId": "c",
            "results": [{"step": 3, "loss": 1.0}],
        },
        {"number": 3, "role": "winner", "settings": {"loraR": 16}, "jobId": "d", "results": [], "seed": 43},
    ],
    "importances": [{"setting": "loraR", "mean": 0.7, "low": 0.6, "high": 0.8}],
    "verdict": {
        "verdict": "better", "sentence": "Better by \x1b[31m0.4 to 0.6.", "trial": 1,
        "settings": {"loraR": 16, "lrSchedulerType": "wsd", "warmupRatio": None},
    },
}  # fmt: skip


def test_a_sweep_is_printed_with_its_verdict_first() -> None:
    assert list(lines_of(SWEEP)) == [
        "bot sweep (sweep_00000000000a): completed",
        "Better by 0.4 to 0.6.",
        'Settings: lora.r = 16, scheduler = "wsd", no warmup_ratio',
        "",
        "TRIAL   STEPS      LOSS  SETTINGS",
        "    1       9    1.5000  lora.r = 16",
        "    0       9    2.0000  your settings",
        "    2       3    1.0000  lora.r = 64",
        "",
        "Most important settings: lora.r 70% (60% to 80%)",
    ]
    running: Any = SWEEP | {"state": "running", "verdict": None, "plan": {"trials": 9, "endsAt": "x"}}
    assert (
        list(lines_of(running))[1]
        == "3 of about 9 trials, confirming the best with fresh seeds; ends about -"
    )
    untimed: Any = running | {"plan": {"trials": 9}}
    assert list(lines_of(untimed))[1] == "3 of about 9 trials, confirming the best with fresh seeds"


TOML = """
[[trainer]]
name = "bot"
model = "m"
dataset = { url = "https://example.org/a" }
[sweep]
hours = 8
[sweep.space]
lora.r = [8, 16]
"""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--until", "25:00"], '--until "25:00" is invalid'),
        (["--until", "07:00", "--hours", "2"], "--until and --hours are both given"),
        (["--space", "lora.r"], "--space needs a setting and its values"),
        (["--space", "lora.x=1,2"], 'unknown setting "lora.x"'),
        (["--space", "lora.r=8"], "lora.r must be a list of values"),
        (["--trainer", "nope"], 'no trainer "nope"'),
    ],
)
def test_invalid_options_start_no_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    assert cli.main(["sweep", "start", "--local", "--project", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err


def test_the_backend_of_a_sweep_is_remembered(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    wrong = ["--until", "25:00", "--project", str(tmp_path)]
    assert cli.main(["sweep", "start", "--local", *wrong]) == 2
    assert cli.main(["sweep", "start", *wrong]) == 2
    assert "This project was last opened with --local" in capsys.readouterr().err


def test_only_a_named_sweep_is_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", "delete", "--local", "--project", str(tmp_path)]) == 2
    assert "Name the sweep to delete" in capsys.readouterr().err


async def test_ctrl_c_says_how_the_sweep_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    following = asyncio.create_task(_follow(cast("Backend", None), SWEEP | {"state": "running"}, quiet=True))
    await asyncio.sleep(0)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert "`arkor-dev --local` continues it" in capsys.readouterr().err


async def test_a_search_goes_to_the_projects_cluster_only_after_consent(
    settings: Settings, fake_backend: FakeBackend, signed_in: None
) -> None:
    fake_backend.features = ["placement", "sweeps"]
    (settings.project / "arkor.toml").write_text(f'[compute]\ncluster = "ray://head:10001"\n{TOML}')
    arguments = cli.parser().parse(["sweep", "start"])
    with pytest.raises(BadRequestError, match=r"names ray://head:10001 in arkor.toml.* Nobody has agreed"):
        await run_sweep(settings, arguments)
    assert fake_backend.count("POST /v1/sweeps") == 0
    trust(settings, "ray://head:10001")
    assert await run_sweep(settings, arguments) == 0
    assert fake_backend.last("POST /v1/sweeps").json()["config"]["cluster"] == "ray://head:10001"
