"""The command line, as true processes: options, exit codes, and no traceback for an expected fault."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev import __version__
from arkor_dev.cli import main as cli
from arkor_dev.core.torch_build import install_advice
from arkor_dev.identity import engine
from arkor_dev.project.training_command import NOT_LOCAL
from tests.support.commands import run_command, start_command
from tests.support.daemon import environment, running_daemon
from tests.support.fake_backend import TOKEN
from tests.support.raw import exchange

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend


COMMANDS = ("init", "start", "login", "logout", "whoami", "doctor")


async def arkor_dev(home: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``arkor-dev`` with a home of its own."""
    return await run_command(*arguments, env=environment(home) | {"COLUMNS": "100", **variables})


def started_by_python(home: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """The same of a process that Python starts, as a person's shell lets it."""
    done = subprocess.run(
        [sys.executable, "-m", "arkor_dev", *arguments],
        env=environment(home) | variables, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_version_is_printed(home: Path) -> None:
    assert started_by_python(home, "--version") == (0, f"arkor-dev {__version__}\n", "")


def test_help_and_version_are_commands_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    with pytest.raises(SystemExit):
        cli.main(["help", "jobs"])
    assert cli.main(["help", "job"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"arkor-dev {__version__}\nusage: arkor-dev jobs [options]")
    assert err == "arkor-dev: unknown command job. Did you mean jobs?\n"


async def test_help_names_every_option_and_exit_code(home: Path) -> None:
    code, out, err = await arkor_dev(home, "--help")
    assert (code, err) == (0, "")
    words = ("--port", "--open", "--local", "--project", "--log-level", "--version", "--allow-other-users")
    commands = tuple(f"\n  {name} " for name in COMMANDS)
    assert [word for word in (*words, *commands, "\n  130 ") if word not in out] == []


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_and_errors_are_the_same_in_every_python(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse words and wraps its own anew in each Python: none of it may be used."""

    def used(*_: object, **__: object) -> None:
        raise AssertionError("argparse's own formatter is used")

    monkeypatch.setattr(argparse.HelpFormatter, "format_help", used)
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {' '.join(['arkor-dev', *command])} [options]")
    assert "positional arguments" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []
    assert cli.main([*command, "--nonsense"]) == 2
    assert cli.main(["--version"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "--port: 0 isn't a valid port (1 to 65535)."),
        (["--port", "65536"], "--port: 65536 isn't a valid port (1 to 65535)."),
        (["--port=abc"], "--port: abc isn't a valid port (1 to 65535)."),
        (["--port"], "--port needs a value: --port N. See arkor-dev --help."),
        (["--port", "--open"], "--port needs a value: --port N. See arkor-dev --help."),
        (["--open=yes"], "--open takes no value. See arkor-dev --help."),
        (
            ["--log-level", "loud"],
            "--log-level: loud is not a valid level. Choose one of debug, info, warning, error.",
        ),
        (["--project", "/nowhere"], "/nowhere is not a folder. Name the project's folder with --project."),
        (["--nonsense"], "unknown option --nonsense. See arkor-dev --help."),
        (["--prot", "4000"], "unknown option --prot. Did you mean --port?"),
        (["--loc"], "unknown option --loc. Did you mean --local?"),
        (["-p", "4000"], "unknown option -p. See arkor-dev --help."),
        (["nonsense"], "unknown command nonsense. See arkor-dev --help."),
        (["strat", "--dry-run"], "unknown command strat. Did you mean start?"),
        (["--local", "docter"], "unknown command docter. Did you mean doctor?"),
        (["/"], "unknown command /. Name a project's folder with --project: --project /"),
        (["start", "--dryrun"], "unknown option --dryrun for start. Did you mean --dry-run?"),
        (
            ["start", "--port", "1"],
            "unknown option --port for start. arkor-dev, arkor-dev serve and arkor-dev doctor have it.",
        ),
        (
            ["--json"],
            (
                "unknown option --json. arkor-dev import-config, arkor-dev data, arkor-dev jobs, "
                "arkor-dev sweep, arkor-dev sources, arkor-dev evaluate, arkor-dev why, arkor-dev forget, "
                "arkor-dev export, "
                "arkor-dev push, arkor-dev endpoints, arkor-dev verify, arkor-dev cluster, arkor-dev ssh, "
                "arkor-dev local, arkor-dev whoami, arkor-dev doctor, arkor-dev setup and "
                "arkor-dev status have it."
            ),
        ),
        (["start", "--set"], "--set needs a value: --set KEY=VALUE. See arkor-dev start --help."),
        (
            ["start", "--set", "lora.r=8", "--set=lora.r=0"],
            "lora.r = 0 is invalid; expected a whole number from 1 to 1,024",
        ),
        (["start", "--set", "rank=8"], "unknown setting rank. Did you mean lora.r?"),
        (["start", "a", "mine"], "unexpected argument mine. See arkor-dev start --help."),
        (
            ["init", "--template", "chat"],
            "--template: chat is not a valid template. Choose one of agent, triage, translate, redaction.",
        ),
        (["init", "a", "b"], "unexpected argument b. See arkor-dev init --help."),
        (["start", "a", "\x1b[2Jx"], "unexpected argument x. See arkor-dev start --help."),
    ],
)
def test_invalid_usage_names_the_mistake(
    arguments: list[str], said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"arkor-dev: {said}\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
async def test_a_character_that_the_output_cannot_encode_is_replaced(
    home: Path, settings: Settings, signed_in: None, fake_backend: FakeBackend, encoding: str
) -> None:
    fake_backend.add_job(name="\u2192 bot")
    arguments = ("jobs", "--project", str(settings.project))
    variables = {"ARKOR_CLOUD_API_URL": fake_backend.url, "PYTHONIOENCODING": encoding}
    code, out, err = await asyncio.to_thread(started_by_python, home, *arguments, **variables)
    assert (code, out.splitlines()[1].endswith("? bot"), err) == (0, True, "")


def test_invalid_usage_of_the_process_exits_2(home: Path) -> None:
    assert started_by_python(home, "--nonsense") == (
        2, "", "arkor-dev: unknown option --nonsense. See arkor-dev --help.\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local", "doctor", "--port", "4321", "--project", "/tmp"],
        ["doctor", "--port=4321", "--local", "--project=/tmp"],
        ["--port", "4321", "--project", "/tmp", "--local", "doctor"],
    ],
)
def test_options_may_precede_or_follow_the_command(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[argparse.Namespace] = []
    monkeypatch.setattr(cli, "_run", got.append)
    cli.main(arguments)
    (parsed,) = got
    assert (parsed.command, parsed.port, parsed.local, parsed.project) == ("doctor", 4321, True, Path("/tmp"))


def test_spaces_around_a_cluster_address_are_stripped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got: list[argparse.Namespace] = []
    monkeypatch.setattr(cli, "_run", got.append)
    cli.main(["start", "--on", " ray://head:10001 "])
    cli.main(["cluster", "status", " head:6379"])
    assert (got[0].cluster, got[1].address) == ("ray://head:10001", "head:6379")


def test_a_folder_may_begin_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[argparse.Namespace] = []
    monkeypatch.setattr(cli, "_run", got.append)
    cli.main(["init", "--", "-odd"])
    assert got[0].folder == Path("-odd")


async def test_an_explicit_port_in_use_is_an_error(home: Path, tmp_path: Path, signed_in: None) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        code, out, err = await arkor_dev(home, "--port", str(port), "--project", str(tmp_path))
    assert (code, out) == (2, "")
    assert err == (
        f"arkor-dev: Port {port} cannot be used: Address already in use. Choose another with --port.\n"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "CLOUD_API_URL is set but empty"),
        ("http://example.org", "clear text"),
        ("x", "is not a web address"),
    ],
)
def test_an_invalid_backend_address_exits_2(
    url: str,
    said: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del home
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", url)
    assert cli.main(["--project", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


HIDE_TORCH = """
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(name)
import importlib.util
real = importlib.util.find_spec
hidden = ("torch", "transformers", "peft")
importlib.util.find_spec = lambda name, package=None: None if name in hidden else real(name, package)
sys.meta_path.insert(0, Hidden())
from arkor_dev.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def without_torch(home: Path, *arguments: str) -> str:
    """What a command that is refused says where the extra is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE_TORCH, *arguments],
        env=environment(home), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_training_without_the_extra_names_the_install_command(home: Path, tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text('[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n')
    chat = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (tmp_path / "d.jsonl").write_text(json.dumps(chat))
    assert without_torch(home, "start", "--local", "--project", str(tmp_path)) == (
        "arkor-dev: Local training needs torch, transformers, peft, which this Python does not have. "
        f"{install_advice()}\n"
    )


def test_other_errors_come_before_the_missing_extra(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del home
    monkeypatch.setattr(engine, "missing_extra", lambda _: "The extra is missing.")

    def said() -> str:
        assert cli.main(["start", "--local", "--project", str(tmp_path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        return err

    assert "There is no arkor.toml in" in said()
    (tmp_path / "package.json").write_text('{"dependencies": {"arkor": "*"}}')
    assert said() == f"arkor-dev: {NOT_LOCAL}\n"
    (tmp_path / "package.json").unlink()
    (tmp_path / "arkor.toml").write_text('[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n')
    (tmp_path / "d.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    assert said() == "arkor-dev: The extra is missing.\n"


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert cli.main([]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "arkor-dev: interrupted\n"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("--version", 141, b""),
        ("--help", 141, b""),
        (
            "--version >/dev/full",
            2,
            b"arkor-dev: Standard output cannot be written: No space left on device.\n",
        ),
        (
            "--version >/dev/full  # unbuffered",
            2,
            b"arkor-dev: The output cannot be written: No space left on device.\n",
        ),
        ("--nothing 2>/dev/full", 2, b""),
    ],
)
def test_a_closed_pipe_is_not_a_traceback(home: Path, command: str, code: int, said: bytes) -> None:
    """As ``arkor-dev jobs | head -1`` has it."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -m arkor_dev {command}'],
        env=environment(home) | ({"PYTHONUNBUFFERED": "1"} if "unbuffered" in command else {}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == said
    assert process.returncode == code


async def test_a_launch_prints_the_banner_only(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int
) -> None:
    """What a person sees of a launch that works: the banner, who they are, and no log line."""
    process = await start_command(
        "--port", str(unused_tcp_port), "--project", str(tmp_path / "project"), env=environment(home)
    )
    assert process.stderr is not None
    seen = b""
    async with asyncio.timeout(60):
        while b"Identity" not in seen:
            seen += (line := await process.stderr.readline())
            assert line, seen
    process.terminate()
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    lines = [re.sub(r"\d{5}", "PORT", line) for line in (seen + err).decode().splitlines()]
    assert lines == [
        f"Arkor Studio  {__version__}",
        "  Studio   http://localhost:PORT",
        f"  Project  {tmp_path / 'project'}",
        "  Backend  the managed backend",
        "  Press Ctrl-C to stop.",
        "  Identity anonymous · anon-org / demo · 127.0.0.1:PORT",
        "Stopping Studio.",
        "Studio has stopped.",
    ]
    assert out == b""


async def test_tokens_are_never_logged(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int, fake_backend: FakeBackend,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Neither token, at --log-level debug, with tokens in URLs and in broken requests."""
    job = fake_backend.add_job()
    fake_backend.finish(job)
    arguments = ("--project", str(tmp_path / "project"), "--log-level", "debug")
    async with running_daemon(home, unused_tcp_port, *arguments) as daemon:
        secret = daemon.token
        query = f"?studioToken={secret}"
        for line in (
            f"GET /api/jobs/{job}/events{query} HTTP/1.1",
            f"GET /api/jobs{query} HTTP/1.1",
            f"GET /api/jobs{query} HTTP/9.9",
            f"GET /api/jobs{query}\x01 HTTP/1.1",
            f"BREW /api/jobs{query} HTTP/1.1",
            f"GET /{'a' * 9000}{query} HTTP/1.1",
        ):
            sent = f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            await exchange(unused_tcp_port, sent, seconds=30)
        await daemon.api("GET", "/api/jobs")
        await daemon.api("GET", "/api/nothing")
        process = Path(f"/proc/{daemon.process.pid}")
        known = [(process / name).read_text() for name in ("cmdline", "environ") if process.exists()]
    logged = "".join(capfd.readouterr())
    assert "Arkor Studio" in logged
    for text in (logged, *known):
        assert secret not in text
        assert TOKEN not in text
    assert "Traceback" not in logged


ON_WINDOWS = """
import asyncio, shutil, subprocess, sys  # as this platform has them
sys.platform = "win32"
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
from arkor_dev.cli.main import main
sys.exit(main(["doctor"]))
"""


def test_windows_is_referred_to_wsl() -> None:
    """In a sentence, where modules are missing that only Unix has."""
    ran = subprocess.run([sys.executable, "-c", ON_WINDOWS], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("arkor-dev: Arkor Studio does not run on Windows itself")
    assert "wsl --install" in ran.stderr
    assert ran.stdout == ""
