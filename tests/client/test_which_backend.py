"""A command that names no backend finds the jobs of this machine, and a project's last backend."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from arkor_dev.cli.consent import require_trust
from arkor_dev.cli.main import main
from arkor_dev.client.which_backend import remember, settings_for
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.settings import Settings
from arkor_dev.local.jobs.store import Store
from arkor_dev.project.toml.compute import load_ssh_python
from arkor_dev.project.trust import trust
from arkor_dev.sdk.async_studio import AsyncStudio

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend

pytestmark = pytest.mark.usefixtures("forked_backends")


@pytest.fixture
def here(tmp_path: Path, home: Path) -> Settings:
    """A project, of which no backend is known."""
    (tmp_path / "project").mkdir()
    return Settings.from_environment({}, tmp_path / "project")


def made(settings: Settings) -> str:
    """A job of this machine."""
    settings.local_data.mkdir(parents=True, exist_ok=True)
    store = Store(settings.local_data / "backend.sqlite", "local")
    job = store.create("a", {"model": "m", "datasetSource": {"type": "file", "path": "x.jsonl"}})["id"]
    store.close()
    return str(job)


def test_the_last_backend_of_a_project_is_remembered(here: Settings) -> None:
    assert settings_for(here, []) == (here, None)
    assert not here.data.exists()
    remember(replace(here, local=True))
    found, why = settings_for(here, ["latest", None])
    assert found.local
    assert why is not None
    assert why.endswith("For the managed backend: --managed")
    # An address that is set says more than a note.
    assert not settings_for(replace(here, cloud_url="http://localhost:1"), [])[0].local
    remember(here)
    assert not settings_for(here, [])[0].local


def test_local_jobs_need_no_flag(here: Settings, tmp_path: Path) -> None:
    job = made(here)
    for name in (job, job[:8], f"{job}:20"):
        assert settings_for(replace(here, cloud_url="http://localhost:1"), [None, name])[0] == replace(
            here, cloud_url="http://localhost:1", local=True
        )
    for name in (job[:7], "job_000000000000", "latest", "", "' OR 1=1 --"):
        assert settings_for(here, [name]) == (here, None)
    # From any folder, once Studio has been open on the project.
    elsewhere = replace(here, project=tmp_path)
    assert settings_for(elsewhere, [job]) == (elsewhere, None)
    remember(replace(here, local=True))
    found, why = settings_for(elsewhere, [job])
    assert found == replace(here, local=True)
    assert why == f"{job} is a job of the project {here.project}."
    assert settings_for(elsewhere, [job], anywhere=False) == (elsewhere, None)


def test_the_chosen_backend_is_printed(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    job = made(here)
    project = ["--project", str(here.project)]
    assert main(["jobs", "cancel", job, *project]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"{job} (a) is cancelled.\n", f"{job} is a job of this machine.\n")
    assert main(["jobs", *project]) == 2
    assert "Not signed in" in capsys.readouterr().err
    remember(replace(here, local=True))
    assert main(["jobs", "--json", *project]) == 0
    out, err = capsys.readouterr()
    assert [each["id"] for each in json.loads(out)["jobs"]] == [job]
    assert err.startswith("This project was last opened with --local")
    assert main(["jobs", "--managed", *project]) == 2
    assert main(["jobs", "--managed", "--local", *project]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["jobs", "evaluate", "serve"])
def test_every_command_on_a_backend_remembers_the_one_that_was_typed(
    here: Settings, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = ["--project", str(here.project)]
    main([command, "--local", *project])
    capsys.readouterr()
    assert main(["jobs", *project]) == 0
    assert "last opened with --local" in capsys.readouterr().err
    main([command, "--managed", *project])
    assert main(["jobs", *project]) == 2


def test_what_was_not_typed_is_not_remembered(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(replace(here, local=True))
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://localhost:1")
    main(["start", "--project", str(here.project)])
    monkeypatch.delenv("ARKOR_CLOUD_API_URL")
    assert settings_for(here, [])[0].local


def test_the_backend_of_a_studio_in_python_is_remembered_like_that_of_a_command(here: Settings) -> None:
    AsyncStudio(here.project, local=True)
    assert settings_for(here, [])[0].local
    AsyncStudio(here.project)
    assert settings_for(here, [])[0].local
    AsyncStudio(here.project, local=False)
    assert not settings_for(here, [])[0].local


def test_a_host_in_arkor_toml(here: Settings) -> None:
    remember(replace(here, local=True))
    trust(here, "gpu-box")
    (here.project / "arkor.toml").write_text('[compute]\nssh = "gpu-box"\n')
    found, why = settings_for(here, [])
    assert (found.local, found.ssh) == (True, "gpu-box")
    assert why is not None
    assert why.startswith("arkor.toml names gpu-box below [compute]")
    assert found.local_data != here.local_data
    remember(found)
    assert settings_for(replace(here, cloud_url="http://localhost:1"), [])[0].ssh is None
    (here.project / "arkor.toml").write_text('[compute]\nssh = "gpu-box"\npython = "~/p"\n')
    assert [load_ssh_python(here.project, host) for host in ("gpu-box", "other")] == ["~/p", None]
    (here.project / "arkor.toml").write_text('[compute]\nssh = "-oProxyCommand=x"\n')
    assert settings_for(here, [])[0].ssh is None, "and its trainers say why"


def test_the_projects_ssh_host_is_not_contacted_without_consent(
    here: Settings, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ssh = Mock(return_value="/bin/false")
    monkeypatch.setattr("arkor_dev.connection.ssh.host.program", ssh)
    (here.project / "arkor.toml").write_text('[compute]\nssh = "gpu-box"\n')
    project = ["--project", str(here.project)]
    for command in ([], ["jobs"], ["start"], ["doctor"], ["ssh", "status"], ["mcp"]):
        assert main([*command, *project]) == 2
        assert "Nobody has agreed to that yet. Agree with --ssh gpu-box" in capsys.readouterr().err
    with pytest.raises(BadRequestError, match="Nobody has agreed"):
        AsyncStudio(here.project)
    monkeypatch.setattr("arkor_dev.cli.consent.can_ask", lambda: True)
    monkeypatch.setattr(builtins, "input", lambda _: "n")
    assert main(["jobs", *project]) == 2
    assert "gpu-box was not contacted" in capsys.readouterr().err
    ssh.assert_not_called()
    assert not (home / ".arkor").exists()


@pytest.mark.parametrize("typed", [True, False])
def test_consent_to_an_ssh_host_is_asked_once(
    here: Settings, home: Path, monkeypatch: pytest.MonkeyPatch, typed: bool
) -> None:
    question = Mock(return_value="y")
    monkeypatch.setattr("arkor_dev.connection.ssh.host.program", lambda: "/bin/false")
    toml = here.project / "arkor.toml"
    toml.write_text('[compute]\nssh = "gpu-box"\n')
    if typed:
        assert main(["jobs", "--ssh", "gpu-box", "--project", str(here.project)]) == 2
    monkeypatch.setattr("arkor_dev.cli.consent.can_ask", lambda: True)
    monkeypatch.setattr(builtins, "input", question)
    (here.project.parent / "link").symlink_to(here.project)
    for name in ("project", "link", "project"):
        found = Settings.from_environment({}, here.project.parent / name)
        assert settings_for(found, [], consent=require_trust)[0].ssh == "gpu-box"
    assert question.call_count == (0 if typed else 1)
    (record,) = (home / ".arkor").iterdir()
    assert record.stat().st_mode & 0o777 == 0o600

    question.reset_mock()
    toml.write_text('[compute]\nssh = "other-box"\n')
    settings_for(here, [], consent=require_trust)
    (here.project.parent / "clone").mkdir()
    (here.project.parent / "clone" / "arkor.toml").write_text('[compute]\nssh = "gpu-box"\n')
    settings_for(replace(here, project=here.project.parent / "clone"), [], consent=require_trust)
    assert ["other-box" in call.args[0] for call in question.call_args_list] == [True, False]


def test_looking_up_a_local_job_sends_no_token(
    here: Settings, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed in, with a backend that listens: a job of this machine is asked for here alone."""
    fake_backend.sign_in(here.arkor_home, here.project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)
    assert main(["jobs", "cancel", made(here), "--project", str(here.project)]) == 0
    assert fake_backend.requests == []
