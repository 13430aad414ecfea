"""``arkor-dev doctor``: each fault found, named, with its next step; nothing changed by looking."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.commands import doctor
from arkor_dev.cli.commands.doctor import run_doctor
from arkor_dev.contract.gpus import Gpu
from arkor_dev.core.upgrade import upgrade_command
from arkor_dev.server import serve
from arkor_dev.server.serve import bind
from tests.cli.test_main import arkor_dev
from tests.project.test_training_command import TOML
from tests.support.fake_backend import TOKEN
from tests.support.processes import script

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend


class Doctor:
    """What the doctor says, by the checks' names."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = settings
        self._capsys = capsys

    async def visit(self, code: int) -> dict[str, dict[str, Any]]:
        """Every check by its name; the exit code has to be ``code``."""
        assert await run_doctor(self.settings, as_json=True) == code
        said = json.loads(self._capsys.readouterr().out)
        assert said["ok"] == (code == 0)
        return {check["name"]: check for check in said["checks"]}


@pytest.fixture
def healthy(
    settings: Settings,
    signed_in: None,
    capsys: pytest.CaptureFixture[str],
    unused_tcp_port: int,
    node_on_path: None,
) -> Doctor:
    """A project with a training command, signed in at a backend that answers."""
    script(settings.project / "node_modules" / ".bin" / "arkor", "")
    (settings.arkor_home / "credentials.json").chmod(0o600)
    return Doctor(replace(settings, port=unused_tcp_port), capsys)


async def test_a_healthy_setup_passes_every_check(healthy: Doctor, fake_backend: FakeBackend) -> None:
    checks = await healthy.visit(0)
    assert {check["status"] for check in checks.values()} == {"ok"}
    names = ["Studio", "Python", "Port", "Project", "Training", "Node.js", "Credentials", "Backend"]
    assert list(checks) == names
    assert f"{fake_backend.url} answers: anonymous · anon-org / demo" in checks["Backend"]["text"]
    assert checks["Training"]["text"].endswith("node_modules/.bin/arkor")
    assert checks["Studio"]["next"] == f"To upgrade: {upgrade_command()}"


async def test_checks_are_printed_as_lines(healthy: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_doctor(healthy.settings) == 0
    *lines, gap, _ = capsys.readouterr().out.splitlines()
    assert (len(lines), gap) == (8, "")
    assert all(line.startswith("ok    ") for line in lines)
    assert TOKEN not in "".join(lines)


async def test_a_port_in_use_fails(healthy: Doctor) -> None:
    with bind(healthy.settings.port):
        port = (await healthy.visit(1))["Port"]
    assert port["status"] == "fail"
    assert "--port" in port["text"]


async def test_a_default_port_in_use_is_a_warning(healthy: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with bind(0) as used:
        default = used.getsockname()[1]
        monkeypatch.setattr(serve, "DEFAULT_PORT", default)
        monkeypatch.setattr(doctor, "DEFAULT_PORT", default)
        healthy.settings = replace(healthy.settings, port=None)
        port = (await healthy.visit(0))["Port"]
    assert port["status"] == "warn"
    assert f"{default} is taken; Studio will use " in port["text"]


async def test_a_missing_training_command_is_named(healthy: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (healthy.settings.project / "node_modules" / ".bin" / "arkor").unlink()
    training = (await healthy.visit(0))["Training"]
    assert training["status"] == "warn"
    assert "arkor-dev init" in training["text"]


async def test_trainers_of_arkor_toml_are_checked(healthy: Doctor) -> None:
    toml = healthy.settings.project / "arkor.toml"
    toml.write_text(TOML)
    assert (await healthy.visit(0))["Training"]["text"] == "arkor.toml, first trainer 'first'."
    toml.write_text(TOML + "steps = 0")
    training = (await healthy.visit(1))["Training"]
    assert (training["status"], "arkor.toml:5" in training["text"]) == ("fail", True)


async def test_the_node_version_of_a_typescript_project_is_checked(
    healthy: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = healthy.settings.project / "package.json"
    node = (await healthy.visit(0))["Node.js"]
    assert (node["status"], node["next"]) == ("ok", None)
    assert re.fullmatch(r"v\d+\.\d+\.\d+ at /.*", node["text"])
    package.write_text('{"engines": {"node": ">=18"}}')
    assert (await healthy.visit(0))["Node.js"]["text"].endswith(", which is in >=18.")
    package.write_text('{"engines": {"node": ">=99"}}')
    node = (await healthy.visit(0))["Node.js"]
    assert node["status"] == "warn"
    assert node["next"] == "Install Node.js >=99 from https://nodejs.org or with your version manager."
    script(healthy.settings.project.parent / "broken" / "node", "raise SystemExit(1)")
    monkeypatch.setenv("PATH", str(healthy.settings.project.parent / "broken"))
    assert (await healthy.visit(1))["Node.js"]["status"] == "fail"
    monkeypatch.setenv("PATH", "/nowhere")
    node = (await healthy.visit(1))["Node.js"]
    assert node["status"] == "fail"
    assert "Install Node.js >=99" in node["text"]
    (healthy.settings.project / "arkor.toml").write_text(TOML)
    assert "Node.js" not in await healthy.visit(0)


async def test_a_typescript_project_without_its_packages_is_named(healthy: Doctor) -> None:
    (healthy.settings.project / "node_modules" / ".bin" / "arkor").unlink()
    (healthy.settings.project / "package.json").write_text('{"dependencies": {"arkor": "1"}}')
    (healthy.settings.project / "pnpm-lock.yaml").touch()
    training = (await healthy.visit(1))["Training"]
    assert training["status"] == "fail"
    assert "Run `pnpm install` in the project" in training["text"]


async def test_a_typescript_project_on_the_local_backend_is_named(
    healthy: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "missing_extra", lambda _: None)
    healthy.settings = replace(healthy.settings, local=True)
    training = (await healthy.visit(1))["Training"]
    assert "trains on the managed backend only" in training["text"]


async def test_missing_credentials_are_not_created(healthy: Doctor, fake_backend: FakeBackend) -> None:
    path = healthy.settings.arkor_home / "credentials.json"
    path.unlink()
    checks = await healthy.visit(0)
    assert checks["Credentials"]["status"] == "warn"
    assert checks["Backend"]["status"] == "ok"
    assert not path.exists()
    assert [seen.route for seen in fake_backend.requests] == ["GET /v1/auth/cli/config"]


async def test_credentials_readable_by_others_are_a_warning(healthy: Doctor) -> None:
    (healthy.settings.arkor_home / "credentials.json").chmod(0o644)
    check = (await healthy.visit(0))["Credentials"]
    assert check["status"] == "warn"
    assert check["next"].startswith("Run: chmod 600 ")


async def test_empty_credentials_fail(healthy: Doctor) -> None:
    (healthy.settings.arkor_home / "credentials.json").write_text("{}")
    check = (await healthy.visit(1))["Credentials"]
    assert (check["status"], "arkor-dev login" in check["text"]) == ("fail", True)


async def test_an_unreachable_backend_fails(healthy: Doctor, fake_backend: FakeBackend) -> None:
    await fake_backend.stop()
    check = (await healthy.visit(1))["Backend"]
    assert check["status"] == "fail"
    assert f"127.0.0.1:{fake_backend.port}" in check["text"]


async def test_a_backend_that_refuses_the_token_fails(healthy: Doctor, fake_backend: FakeBackend) -> None:
    fake_backend.tokens.clear()
    check = (await healthy.visit(1))["Backend"]
    assert (check["status"], "arkor-dev login" in check["text"]) == ("fail", True)
    assert TOKEN not in json.dumps(check)


async def test_a_hanging_backend_times_out(
    healthy: Doctor, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "BACKEND_SECONDS", 0.2)
    fake_backend.fault("*", hang=True)
    check = (await healthy.visit(1))["Backend"]
    assert check["text"] == f"{fake_backend.url} has not answered in 0.2 s."


async def test_a_state_of_another_organization_is_named(healthy: Doctor) -> None:
    state = healthy.settings.project / ".arkor" / "state.json"
    state.write_text('{"orgSlug": "other", "projectSlug": "p", "projectId": "i"}')
    checks = await healthy.visit(0)
    assert checks["Scope"]["status"] == "warn"


async def test_a_missing_local_extra_is_named(healthy: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    (healthy.settings.project / "arkor.toml").write_text(TOML)
    healthy.settings = replace(healthy.settings, local=True)
    monkeypatch.setattr(doctor, "missing_extra", lambda _: None)
    monkeypatch.setattr(doctor, "is_complete", lambda: True)  # not in an environment of its own
    monkeypatch.setattr(doctor, "oversized_build", lambda: None)
    checks = await healthy.visit(0)
    assert list(checks) == [
        "Studio",
        "Python",
        "Port",
        "Project",
        "Training",
        "Local extra",
        "Jobs",
        "Models",
    ]
    assert not healthy.settings.data.exists()  # looking makes nothing
    monkeypatch.setattr(doctor, "oversized_build", lambda: ("The build for NVIDIA GPUs (4.8 GB).", "Do this"))
    extra = (await healthy.visit(0))["Local extra"]
    assert (extra["status"], extra["next"]) == ("warn", "Do this")
    assert extra["text"].endswith("The build for NVIDIA GPUs (4.8 GB).")
    monkeypatch.setattr(doctor, "missing_extra", lambda _: "Install them with: pip install torch")
    assert (await healthy.visit(1))["Local extra"]["status"] == "fail"


@pytest.mark.parametrize(("there", "status"), [(True, "ok"), (False, "fail")])
async def test_the_cluster_is_checked(
    healthy: Doctor, monkeypatch: pytest.MonkeyPatch, there: bool, status: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: (object() if there else None) if name == "ray" else find(name),
    )
    (healthy.settings.project / "arkor.toml").write_text(TOML)
    monkeypatch.setattr(doctor, "missing_extra", lambda _: None)
    monkeypatch.setattr(doctor, "oversized_build", lambda: None)
    monkeypatch.setattr(doctor, "_version", lambda name: f"{name} 1.0")
    healthy.settings = replace(healthy.settings, local=True, cluster="ray://head:10001")
    cluster = (await healthy.visit(0 if there else 1))["Cluster"]
    assert cluster["status"] == status
    assert cluster["text"].startswith("ray://head:10001")
    assert ("'ray[default]" in cluster["next"]) == (not there)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_unwritable_folders_fail(healthy: Doctor) -> None:
    healthy.settings.project.chmod(0o500)
    (healthy.settings.project / ".arkor").chmod(0o500)
    assert (await healthy.visit(1))["Project"]["status"] == "fail"


async def test_a_state_folder_linked_outside_the_project_fails(healthy: Doctor, tmp_path: Path) -> None:
    folder = healthy.settings.project / ".arkor"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    project = (await healthy.visit(1))["Project"]
    assert (project["status"], "is a link out of the project" in project["text"]) == ("fail", True)


async def test_a_file_at_the_data_folder_path_fails(healthy: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_extra", lambda _: None)
    healthy.settings = replace(healthy.settings, local=True)
    healthy.settings.data.parent.mkdir(parents=True, exist_ok=True)
    healthy.settings.data.write_text("a file")
    checks = await healthy.visit(1)
    assert checks["Jobs"]["status"] == "fail"
    assert str(healthy.settings.data) in checks["Jobs"]["next"]


async def test_doctor_prints_json(home: Path, tmp_path: Path, fake_backend: FakeBackend) -> None:
    url = fake_backend.url
    code, out, err = await arkor_dev(
        home, "doctor", "--json", "--project", str(tmp_path), ARKOR_CLOUD_API_URL=url
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["checks"][1]["text"].endswith(sys.executable)
    await fake_backend.stop()
    code, out, err = await arkor_dev(home, "doctor", "--project", str(tmp_path), ARKOR_CLOUD_API_URL=url)
    assert (code, err) == (1, "")
    assert [line.split()[:2] for line in out.splitlines()][-3] == ["fail", "Backend"]


@pytest.mark.parametrize(
    ("broken", "code", "verdict"),
    [
        ("", 0, "Studio has everything it needs. Next: arkor-dev"),
        ("project", 0, "Nothing failed; look at the warning above. Next: arkor-dev"),
        ("backend", 1, "1 check failed. Follow the step above, then run arkor-dev doctor again."),
    ],
)
async def test_doctor_exits_with_the_result(
    healthy: Doctor, fake_backend: FakeBackend, capsys: pytest.CaptureFixture[str],
    broken: str, code: int, verdict: str,
) -> None:  # fmt: skip
    if broken == "backend":
        await fake_backend.stop()
    if broken == "project":
        shutil.rmtree(healthy.settings.project / "node_modules")
    assert await run_doctor(healthy.settings) == code
    assert capsys.readouterr().out.splitlines()[-1] == verdict


async def test_doctor_checks_only_what_was_asked(
    healthy: Doctor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "missing_extra", lambda _: None)
    text = '[[trainer]]\nname = "a"\nmodel = "m"\ndataset = { huggingface = "a/b" }\n'
    (healthy.settings.project / "arkor.toml").write_text(text)
    await run_doctor(replace(healthy.settings, local=True))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(". Next: arkor-dev --local")


def test_usable_and_unusable_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "torch_build", lambda: "cuda")
    monkeypatch.setattr(doctor, "idle_gpu", lambda _: None)
    monkeypatch.setattr(doctor, "nvidia_gpus", lambda: [Gpu("RTX 4090", "GPU-1", 20 * 10**9, 24 * 10**9)])
    (check,) = doctor._gpu()
    assert (check.status, check.text) == ("ok", "RTX 4090, 20.0 GB of 24.0 GB free.")
    monkeypatch.setattr(doctor, "torch_build", lambda: "cpu")
    monkeypatch.setattr(doctor, "idle_gpu", lambda _: ("RTX 4090", "the CUDA build"))
    (check,) = doctor._gpu()
    assert (check.status, check.name) == ("warn", "GPU")
    assert "cannot use it: training runs on the processor" in check.text
    assert check.next
    assert "Install the CUDA build" in check.next
    monkeypatch.setattr(doctor, "torch_build", lambda: None)
    assert not list(doctor._gpu()), "without torch there is nothing to say"
