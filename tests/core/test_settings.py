"""Settings: one value says everything that a launch decides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.settings import Settings


def test_settings_are_read_from_the_environment(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "link").symlink_to(project)
    settings = Settings.from_environment({}, tmp_path / "link", port=4001, local=True)
    assert settings.project == project  # one project, however it was reached
    assert settings.home == home
    assert settings.arkor_home == home / ".arkor"
    assert settings.data.is_relative_to(home)
    assert settings.cache.is_relative_to(home)
    assert (settings.port, settings.local, settings.open_browser) == (4001, True, False)
    assert settings.log_level == "warning"
    monkeypatch.chdir(project)
    assert Settings.from_environment({}, Path()).project == project


@pytest.mark.parametrize(
    ("environ", "url"),
    [({}, None), ({"ARKOR_CLOUD_API_URL": ""}, ""), ({"ARKOR_CLOUD_API_URL": "https://x"}, "https://x")],
)
def test_an_empty_variable_counts_as_set(
    environ: dict[str, str], url: str | None, tmp_path: Path, home: Path
) -> None:
    assert Settings.from_environment(environ, tmp_path).cloud_url == url


@pytest.mark.parametrize(
    ("environ", "choices", "resume"),
    [
        ({}, {}, True),
        ({"ARKOR_NO_RESUME": ""}, {}, True),
        ({"ARKOR_NO_RESUME": "0"}, {"resume": True}, True),
        ({"ARKOR_NO_RESUME": "1"}, {}, False),
        ({}, {"resume": False}, False),
    ],
)
def test_jobs_resume_unless_disabled(
    environ: dict[str, str], choices: dict[str, bool], resume: bool, tmp_path: Path, home: Path
) -> None:
    assert Settings.from_environment(environ, tmp_path, **choices).resume is resume


def test_settings_are_immutable(settings: Settings) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]


def test_each_project_has_its_own_local_data_folder(tmp_path: Path, settings: Settings) -> None:
    folders = set()
    for path in (tmp_path / "a" / "Bot", tmp_path / "b" / "Bot", tmp_path / "a" / "bot"):
        folder = dataclasses.replace(settings, project=path).local_data
        assert folder.parent == settings.data / "projects"
        assert folder.name.startswith("bot-")
        folders.add(folder)
    assert len(folders) == 3


@pytest.mark.parametrize(
    ("told", "chosen", "engine"),
    [
        ({}, None, None),
        ({"ARKOR_ENGINE": "exact"}, None, "exact"),
        ({"ARKOR_ENGINE": "exact"}, "llama.cpp", "llama.cpp"),
        ({"ARKOR_ENGINE": "none such"}, "exact", "exact"),
        ({"ARKOR_ENGINE": ""}, None, None),
    ],
)
def test_engine_comes_from_the_option_or_the_environment(
    tmp_path: Path, told: dict[str, str], chosen: str | None, engine: str | None
) -> None:
    assert Settings.from_environment(told, tmp_path, engine=chosen).engine == engine


@pytest.mark.parametrize(
    ("told", "at_once"), [({}, None), ({"ARKOR_AT_ONCE": "0"}, None), ({"ARKOR_AT_ONCE": "3"}, 3)]
)
def test_concurrent_jobs_come_from_the_option_or_the_environment(
    tmp_path: Path, told: dict[str, str], at_once: int | None
) -> None:
    assert Settings.from_environment(told, tmp_path).at_once == at_once
    assert Settings.from_environment(told, tmp_path, at_once=2).at_once == 2


@pytest.mark.parametrize(
    ("variable", "told", "words"),
    [
        (
            "ARKOR_ENGINE",
            "llama",
            '"llama", which isn\'t a valid engine. Choose one of auto, exact, llama.cpp.',
        ),
        ("ARKOR_ENGINE", "\x1b[31m" * 1000, "isn't a valid engine"),
        (
            "ARKOR_AT_ONCE",
            "two",
            '"two", which isn\'t a valid number of jobs. Choose a whole number, 1 or more.',
        ),
        ("ARKOR_AT_ONCE", "-1", "valid number of jobs"),
        ("ARKOR_AT_ONCE", "9" * 10_000, "valid number of jobs"),
    ],
)
def test_an_invalid_value_is_refused_with_the_valid_ones(
    tmp_path: Path, variable: str, told: str, words: str
) -> None:
    with pytest.raises(BadRequestError) as fault:
        Settings.from_environment({variable: told}, tmp_path)
    assert fault.value.text.startswith(variable)
    assert words in fault.value.text
    assert len(fault.value.text) < 200
    assert fault.value.text.isprintable()
