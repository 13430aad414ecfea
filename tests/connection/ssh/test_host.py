"""The command line of ssh, and what its errors mean to a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from arkor_dev.cli.main import main
from arkor_dev.connection.ssh import host
from arkor_dev.contract.errors import ArkorError


@pytest.fixture(autouse=True)
def ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program need not be there for its command line."""
    monkeypatch.setattr(host, "program", lambda: "ssh")


@pytest.mark.parametrize(
    "name", ["-oProxyCommand=touch /tmp/x", "a b", "a;b", "$(a)", "a:22", "me@-a", "", "a/b", "a\n"]
)
def test_an_invalid_host_is_refused_before_ssh_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ArkorError, match="is not a host of your ssh configuration"):
        host.session(name, Path("/tmp/c"), None)
    assert main([f"--ssh={name}"]) == 2
    assert "is not a host" in capsys.readouterr().err


def test_backend_options_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ssh", "gpu-box", "--local"]) == 2
    assert "--local, --ssh and --managed exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("python", [None, sys.executable, "~/it's here/python"])
def test_the_remote_command_is_one_quoted_argument(python: str | None, tmp_path: Path) -> None:
    argv = host.session("me@gpu-box", tmp_path, python)
    assert argv[-3:-1] == ["--", "me@gpu-box"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(argv)
    if python is not None and python.startswith("~"):
        there = tmp_path / python[2:]
        there.parent.mkdir()
        there.symlink_to(sys.executable)
    program = b"import sys; print(sys.stdin.buffer.raw.read() == b'the rest')\n"
    done = subprocess.run(
        ["/bin/sh", "-c", argv[-1]],
        input=f"{len(program)}\n".encode() + program + b"the rest",
        env={"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"True\n", done


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (255, "Host key verification failed.", "is not known here, and is not accepted without you"),
        (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "has changed, so another machine"),
        (255, "me@gpu: Permission denied (publickey).", r"refused the sign-in \(me@gpu: Permission"),
        (255, "ssh: Could not resolve hostname gpu: Name not known", "There is no host gpu"),
        (255, "connect to host gpu port 22: Connection refused", "ssh server does not run"),
        (255, "connect to host gpu port 22: Connection timed out", "Is it on, and are you in its network"),
        (69, "Python 3.9.2", r"no Python 3.11 or newer \(it says: Python 3.9.2\). Install one"),
        (1, "This service allows sftp connections only.", r"exit status 1: This service .*Run `ssh gpu`"),
        (-9, "\x1b]0;x\x07gone\u202e", r"The connection to gpu ended \(gone\)"),
    ],
)
def test_ssh_exit_codes_become_error_messages(code: int, said: str, why: str) -> None:
    with pytest.raises(ArkorError, match=why):
        raise host.why_ended("gpu", code, f"noise\n{said}\n", None)


def test_an_unknown_host_with_a_user_suggests_a_config_entry() -> None:
    with pytest.raises(ArkorError, match=r"There is no host me@gpu: .* entry \(Host gpu\) in ~/.ssh/config"):
        raise host.why_ended("me@gpu", 255, "ssh: Could not resolve hostname gpu: Name not known\n", None)


def test_a_missing_ssh_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ArkorError, match="no ssh program on this machine"):
        host.program()
