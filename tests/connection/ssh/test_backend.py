"""What goes wrong with another machine, at a real sshd, and what a hostile one may send."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.backend.unix_address import address_of
from arkor_dev.connection.ssh import backend, link, package
from arkor_dev.connection.ssh.backend import SshBackend, describe_host
from arkor_dev.contract.errors import ArkorError
from arkor_dev.core.settings import Settings
from tests.support.processes import script
from tests.support.sshd import HOST, running_sshd

if TYPE_CHECKING:
    from arkor_dev.identity.local_backend import Notice

PYTHON = f'[compute]\npython = "{sys.executable}"\n'


@pytest.fixture
def launch(tmp_path: Path) -> Settings:
    """A launch with ``--ssh`` on a project without trainers, with a Python that is there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "arkor.toml").write_text(PYTHON)
    home = tmp_path / "home"
    return Settings(project=project, home=home, data=home / "data", cache=home, local=True, ssh=HOST)


async def fault_of(launch: Settings) -> str:
    """Why it cannot connect."""
    with pytest.raises(ArkorError) as fault:
        async with SshBackend(launch, lambda _: None):
            pass
    return fault.value.text


async def test_each_remote_failure_has_an_error_message(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    toml = launch.project / "arkor.toml"
    sockets = Path(tempfile.mkdtemp(dir="/tmp"))  # a socket's path has to be short
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    only_a_shell = tmp_path / "far-bin"
    only_a_shell.mkdir()
    (only_a_shell / "sh").symlink_to("/bin/sh")
    with running_sshd(tmp_path / "sshd", unused_tcp_port, monkeypatch, path=str(only_a_shell)) as server:
        (server.folder / "known_hosts").unlink()
        assert "is not known here, and is not accepted without you" in await fault_of(launch)
        assert not (server.folder / "known_hosts").exists(), "nothing was accepted"
        server.key("other_key")
        other = (server.folder / "other_key.pub").read_text()
        (server.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}")
        assert "has changed, so another machine may be answering" in await fault_of(launch)
        server.know_host()
        server.key("user_key")
        assert "gpu-box refused the sign-in (" in await fault_of(launch)
        (server.folder / "authorized_keys").write_text((server.folder / "user_key.pub").read_text())

        toml.write_text("")
        text = await fault_of(launch)
        assert text.startswith("gpu-box has no Python 3.11 or newer (it says: sh: ")
        assert text.endswith("with uv (`uv python install 3.12`) or as the system's package.")
        old = only_a_shell / "python3"
        old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\nexit 1\n')
        old.chmod(0o755)
        assert "no Python 3.11 or newer (it says: Python 3.9.2)" in await fault_of(launch)
        toml.write_text('[compute]\npython = "/no/such python"\n')
        assert "no Python 3.11 or newer at /no/such python" in await fault_of(launch)
        bare = script(tmp_path / "bare python", "import os, sys\n")
        bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        toml.write_text(f'[compute]\npython = "{bare}"\n')
        assert f"{bare} on gpu-box lacks torch, transformers, peft, aiohttp" in await fault_of(launch)

        server.stop()
        assert "gpu-box refused the connection: its ssh server does not run" in await fault_of(launch)
        assert not list(server.home.rglob("keeper.lock")), "nothing was started"
    sockets.rmdir()  # nothing was left there


READY = "print('{\"ready\": 1}', flush=True); "
HOSTILE = {
    "a fault is plain text": (
        'print(\'{"fault": "\\\\u001b]0;mine\\\\u0007' + "x" * 5000 + "\"}')",
        r"^x{1499}…$",
    ),
    "a line without an end": ("sys.stdout.write('x' * (3 << 20))", "ended|did not answer"),
    "noise without an end": ("print('motd\\n' * 5000)", "ended|did not answer"),
    "no answer that can be used": ("print('{\"done\": [[[[]]]]}')", "something unexpected"),
    "steps without an end": ('print(\'{"step": "a"}\\n\' * 20_000)', "does not come to an end"),
    "deep JSON": ("print('[' * 100_000)", "ended"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_replies_of_a_hostile_machine_are_plain_errors(
    name: str, launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, why = HOSTILE[name]
    script(tmp_path / "bin" / "ssh", f"import sys\n{READY}{says}\nsys.stdout.flush()\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    text = await fault_of(launch)
    assert re.search(why, text), text
    assert text.isprintable()


@pytest.mark.parametrize("socket", ["/tmp/a:10.0.0.1:22", "/tmp/../a b", "relative", None, "/" + "a" * 200])
async def test_only_unix_sockets_are_forwarded(
    socket: str | None, launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http+unix://" + (socket or "").encode().hex()
    answers = [
        '{"done": {"code": true, "lacks": []}}', '{"done": {"missing": ["../../.ssh/id_ed25519"]}}',
        f'{{"done": {{"baseUrl": "{address}", "token": "{"t" * 30}"}}}}',
    ]  # fmt: skip
    forwarded = tmp_path / "forwarded"
    script(
        tmp_path / "bin" / "ssh",
        f"import pathlib, sys\nif '-O' in sys.argv: pathlib.Path({str(forwarded)!r}).touch()\n"
        f"{READY}\nfor line in {answers!r}: print(line, flush=True)\nsys.stdin.read()\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (
        await fault_of(launch) == "gpu-box named a socket that cannot be forwarded. Set TMPDIR there to /tmp."
    )
    assert not forwarded.exists()


async def test_a_line_break_in_a_token_is_refused(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = json.dumps({"done": {"baseUrl": address_of("/tmp/a.sock"), "token": "t" * 30 + "\r\nX: y"}})
    answers = ['{"done": {"code": true, "lacks": []}}', '{"done": {"missing": []}}', started]
    script(
        tmp_path / "bin" / "ssh",
        f"import sys\n{READY}\nfor line in {answers!r}: print(line, flush=True)\nsys.stdin.read()\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert await fault_of(launch) == "gpu-box answered with something unexpected. Try again."


async def test_a_silent_machine_is_reported_and_times_out(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.1)
    script(tmp_path / "bin" / "ssh", f"import sys\n{READY}\nsys.stdin.read()\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    notices: list[Notice] = []
    with pytest.raises(ArkorError, match=r"gpu-box did not answer in 0\.1 s"):
        async with SshBackend(launch, notices.append):
            pass
    said = "gpu-box has been silent for 0.05 s; waiting for up to 0.1 s"
    assert said in [notice.get("text") for notice in notices]


async def test_a_machine_that_accepts_no_data_times_out(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.1)
    script(tmp_path / "bin" / "ssh", f"import time\n{READY}\ntime.sleep(60)\n")
    monkeypatch.setattr(package, "digest", lambda: "x" * 4_000_000)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert await fault_of(launch) == "gpu-box has accepted no data for 0.1 s. Try again."


async def test_a_server_that_forbids_socket_forwarding_is_named(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = json.dumps({"done": {"baseUrl": address_of("/tmp/a.sock"), "token": "t" * 30}})
    answers = ['{"done": {"code": true, "lacks": []}}', '{"done": {"missing": []}}', started]
    script(
        tmp_path / "bin" / "ssh",
        "import sys\nif '-O' in sys.argv: sys.exit('mux: administratively prohibited')\n"
        f"{READY}\nfor line in {answers!r}: print(line, flush=True)\nsys.stdin.read()\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    text = await fault_of(launch)
    assert "forwards no sockets (mux: administratively prohibited)" in text
    assert "AllowStreamLocalForwarding" in text


async def test_a_large_upload_asks_first(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(backend, "ASK_BYTES", 10)
    monkeypatch.setattr(package, "MODULES", ())  # the other Pythons of the tests have no torch
    row = '{"text": "a row that is longer than ten bytes"}\n'
    (launch.project / "rows.jsonl").write_text(row)
    toml = launch.project / "arkor.toml"
    toml.write_text(PYTHON + '[[trainer]]\nname = "a"\nmodel = "starter"\ndataset = "rows.jsonl"\n')
    asked: list[str] = []

    def ask(what: str) -> bool:
        asked.append(what)
        return False

    notices: list[Notice] = []
    with running_sshd(tmp_path / "sshd", unused_tcp_port, monkeypatch) as server:
        with pytest.raises(ArkorError, match=r"^Nothing was sent to gpu-box\."):
            async with SshBackend(launch, notices.append, ask):
                pass
        assert asked[0].startswith(
            f"{len(row) + toml.stat().st_size} B would be sent to gpu-box: arkor.toml ("
        )
        assert "asks first" in await fault_of(launch)
        assert re.fullmatch(
            r"gpu-box has Python 3\.\d+\.\d+ and (an|no) NVIDIA GPU\. Everything is installed\.",
            await describe_host(launch, HOST),
        )
        assert not list(server.home.rglob("rows.jsonl"))
