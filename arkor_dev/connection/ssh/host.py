"""OpenSSH's command line for a host, and what its errors mean."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, UnavailableError
from arkor_dev.contract.placement import SSH_HOST
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.errors import ArkorError

CONNECT_SECONDS: Final = 15
ALIVE_SECONDS: Final = 5
ALIVE_TRIES: Final = 3
NO_PYTHON: Final = 69
"""The exit status of our command there if it finds no Python that is new enough."""
NEWEST: Final = (14, 13, 12, 11)
"""Minor versions of Python 3 that are tried."""
# One line: a shell such as csh accepts no line break in quotes.
BOOTSTRAP: Final = (
    'import os;f=os.fdopen(0,"rb",0,closefd=False);n=int(f.readline());b=bytearray();'
    "[b.extend(f.read(n-len(b)) or exit(1)) for _ in iter(lambda:len(b)<n,False)];"
    'exec(compile(bytes(b),"arkor-dev","exec"),{"__name__":"__main__"})'
)
NEW_ENOUGH: Final = "import sys; sys.exit(sys.version_info < (3, 11))"
OPTIONS: Final = (
    "BatchMode=yes",
    # An unknown host key is never accepted here, whatever the configuration says.
    "StrictHostKeyChecking=yes",
    f"ConnectTimeout={CONNECT_SECONDS}",
    f"ServerAliveInterval={ALIVE_SECONDS}",
    f"ServerAliveCountMax={ALIVE_TRIES}",
    "ControlMaster=yes",
    "ControlPersist=no",
    # Disable what the configuration adds to a person's own sessions.
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "LogLevel=ERROR",
)


def program() -> str:
    """Return the path of ssh. Raises BadRequestError if it is not installed."""
    if (path := shutil.which("ssh")) is None:
        raise BadRequestError(
            "There is no ssh program on this machine. Install OpenSSH's client (Debian: openssh-client)."
        )
    return path


def checked(host: str) -> str:
    """Return ``host`` if ssh cannot mistake it for an option. Raises BadRequestError."""
    if not SSH_HOST.fits(host):
        raise BadRequestError(f"{one_line(host, 100)!r} is not {SSH_HOST.noun}.")
    return host


def session(host: str, control: Path, python: str | None) -> list[str]:
    """Return the command that connects to ``host`` and there runs a program from standard input.

    ``python`` runs it; None for the first Python there that is new enough.
    """
    options = [argument for option in OPTIONS for argument in ("-o", option)]
    return [program(), *options, "-S", str(control), "--", checked(host), _command(python)]


def forwarding(host: str, control: Path, local: Path, remote: str) -> list[str]:
    """Return the command that forwards the socket ``remote`` there to ``local`` over an open session."""
    options = ["-o", "ClearAllForwardings=no", "-o", "LogLevel=ERROR", "-S", str(control)]
    return [program(), *options, "-O", "forward", "-L", f"{local}:{remote}", "--", checked(host)]


def _command(python: str | None) -> str:
    if python is not None:
        # A shell expands no tilde in quotes.
        home, rest = ('"$HOME"/', python[2:]) if python.startswith("~/") else ("", python)
        names = home + shlex.quote(rest)
    else:
        versions = [f"python3.{minor}" for minor in NEWEST]
        names = " ".join(["python3", *versions, *(f'"$HOME"/.local/bin/{name}' for name in versions)])
    run = f'"$p" -I -c {shlex.quote(NEW_ENOUGH)} 2>/dev/null && exec "$p" -P -c {shlex.quote(BOOTSTRAP)}'
    first = names.partition(" ")[0] if python is None else names
    script = f"for p in {names}; do {run}; done; {first} -V >&2; exit {NO_PYTHON}"
    return f"sh -c {shlex.quote(script)}"


def why_ended(host: str, code: int | None, errors: str, python: str | None) -> ArkorError:
    """Explain why a session ended or never began, by ssh's exit status and its messages."""
    output, last = errors, one_line(errors.strip().rpartition("\n")[2], 300)
    check = f"Run `ssh {host}` in a terminal"
    if code == NO_PYTHON:
        quote = f" (it says: {last})" if last else ""
        if python is not None:
            return BadRequestError(
                f"{host} has no Python 3.11 or newer at {one_line(python, 300)}{quote}. Correct python below "
                "[compute] in arkor.toml, or remove it to have an environment made there."
            )
        return BadRequestError(
            f"{host} has no Python 3.11 or newer{quote}. Install one there, for example with uv "
            "(`uv python install 3.12`) or as the system's package."
        )
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in output:
        return BadRequestError(
            f"The host key of {host} has changed, so another machine may be answering for it. If it was "
            f"installed anew, remove the old key (`ssh-keygen -R` with its name). {check} then, and compare "
            "the new key."
        )
    if "Host key verification failed" in output or "host key is known" in output:
        return BadRequestError(
            f"The host key of {host} is not known here, and is not accepted without you. {check}, compare "
            "the fingerprint that it shows, and accept it once."
        )
    if "Permission denied" in output or "Too many authentication failures" in output:
        return BadRequestError(
            f"{host} refused the sign-in ({last}). {check}: it has to work without a password, with a key in "
            "your ssh agent (ssh-add) or in ~/.ssh/config."
        )
    if "Could not resolve hostname" in output or "not known" in output:
        return BadRequestError(
            f"There is no host {host}: {last}. Correct the name, or give it an entry "
            f"(Host {host.rpartition('@')[2]}) in ~/.ssh/config."
        )
    if "Connection refused" in output:
        return UnavailableError(
            f"{host} refused the connection: its ssh server does not run, or listens on another port. "
            f"{check} to see, and set Port in ~/.ssh/config."
        )
    if "timed out" in output or "No route to host" in output or "unreachable" in output:
        return UnavailableError(f"{host} does not answer ({last}). Is it on, and are you in its network?")
    if code is None or code in (0, 255) or code < 0:
        return UnavailableError(f"The connection to {host} ended{f' ({last})' if last else ''}.")
    return UnavailableError(
        f"{host} could not run the program of arkor-dev (exit status {code}{f': {last}' if last else ''}). "
        f"{check}: it needs a shell that runs commands."
    )
