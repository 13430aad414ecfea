"""A real OpenSSH server on 127.0.0.1 for one test: its own configuration, keys and port, and a home there."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .processes import alive, children

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pwd import struct_passwd

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HOST = "gpu-box"
MARK = "ARKOR_TEST_FAR"
"""A variable that every process over there has, so that a test can end exactly these."""

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
SetEnv HOME={home} {mark}={home} PATH={path} OMP_NUM_THREADS=1 ARKOR_LEAST_FREE_BYTES=0 {env}
"""
CLIENT = """
Host {host}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
"""


@dataclass
class Sshd:
    """The server, and this side's ssh configuration for it. ``home`` is the home over there."""

    folder: Path
    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, as a machine does that is switched on."""
        assert SSHD is not None
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def sessions(self) -> list[int]:
        """The processes of the connections that are open."""
        return children(self.process.pid) if self.process and alive(self.process.pid) else []

    def cut(self) -> None:
        """Cut every connection."""
        for pid in self.sessions():
            with suppress(ProcessLookupError, FileNotFoundError):
                for each in (*children(pid), pid):
                    os.kill(each, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and its connections; what was started over them goes on."""
        self.cut()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def processes(self) -> list[int]:
        """Every process that was started over there."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self.home}\0".encode() in (path / "environ").read_bytes():
                    found.append(int(path.name))
        return [pid for pid in found if pid != os.getpid() and alive(pid)]

    def power_off(self) -> None:
        """End all of it, as a power cut does."""
        self.stop()
        while pids := self.processes():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def key(self, name: str) -> None:
        """Make another key of that name."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        keygen = shutil.which("ssh-keygen") or "ssh-keygen"
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

    def know_host(self) -> None:
        """Let this side know the server's key."""
        public = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")


@contextmanager
def running_sshd(
    folder: Path,
    port: int,
    patch: pytest.MonkeyPatch,
    path: str = "",
    account: struct_passwd | None = None,
    env: Mapping[str, str] = {},
) -> Iterator[Sshd]:
    """A server whose host `HOST` ssh knows and may sign in to; ``path`` is what programs it finds there.

    What runs there has ``env``, too. It signs in to another ``account`` of this machine, which must be able
    to read ``folder``, or to one's own with a home in there.
    """
    if SSHD is None or shutil.which("ssh") is None or sys.platform != "linux":
        pytest.skip("needs ssh and sshd (Debian: openssh-client and openssh-server), and Linux")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its service makes that at each start
    folder.mkdir()
    home = Path(account.pw_dir) if account else folder / "far"
    home.mkdir(exist_ok=True)
    server = Sshd(folder, home, port)
    for name in ("host_key", "user_key"):
        server.key(name)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    path = path or os.defpath
    how = {"folder": folder, "port": port, "home": home, "mark": MARK, "path": path}
    how["env"] = " ".join(f"{name}={value}" for name, value in env.items())
    (folder / "sshd_config").write_text(CONFIG.format(**how))
    user = account.pw_name if account else getpass.getuser()
    (folder / "config").write_text(CLIENT.format(host=HOST, port=port, folder=folder, user=user))
    server.know_host()
    # ssh reads the account's own configuration, whatever HOME says.
    wrapper = folder / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    wrapper.chmod(0o755)
    patch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    server.start()
    try:
        yield server
    finally:
        server.power_off()
