"""Every command that README, docs and page tell a person to run, run as it is written there.

A new command of `arkor-dev` is run without further ado. Any other, and those that cannot be run here, need a
line in `NOT_RUN` with the reason.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from arkor_dev.cli.main import parser
from arkor_dev.core.settings import Settings
from tests.support.daemon import free_port
from tests.support.documented import ROOT, Command, documented

from .conftest import ENDLESS, make_project
from .forked import plain_of
from .forking_backend import forking_python, of_a_studio
from .gguf_extra import LACKING, with_converters
from .harness import FORKS, Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.beside, pytest.mark.timeout(900)]

NOT_RUN: Final = {
    r"\b(pip|apt|npm|uv tool|pipx) install |^uv tool$": "installs; that there is such an extra is looked at",
    r"-m venv |^cd |^exit$": "makes a folder, or goes there: the sandbox has both",
    r"^(CI=1 )?\./scripts/(?!studio$)": "installs, or takes minutes; that there is such a script is checked",
    r"^cd web && npx": "the page's own tests",
    r"ray://|--workers|cluster status|^ray |^RAY_|auth-token|import ray": "a cluster: tests/local/cluster",
    r"--ssh|^arkor-dev ssh": "another machine: tests/local/test_over_ssh.py",
    r"^(ssh|mkdir -p ~/\.ray|docker|podman|kubectl|sed .*kubectl|sky|systemctl) ?": "elsewhere, or a service",
    r"^echo .* completion ": "a shell's own file: tests/cli/commands/test_completion.py",
    r"^(vllm|VLLM_API_KEY|ollama|lms|llama-cli|llm|wandb|hf|claude) ?|ANTHROPIC_|CLAUDE_CODE|codex": (
        "another program's own command"
    ),
    r"^arkor |start FILE": "a TypeScript project: tests/cli/commands/test_start_typescript.py",
    r"evaluate --adapter": "another program's adapter: tests/local/evaluation/test_peer_adapter.py",
    r"^arkor-dev sources": "many runs: tests/local/sweeps/test_sources.py",
    r"^arkor-dev sweep": "a search of many runs: tests/local/sweeps, tests/cli/commands/test_sweep.py",
    r"^arkor-dev mcp": "an assistant's other end: tests/sdk/test_mcp_server.py",
    r"data (make|more|judge)( |$)|data/made/": "a teacher: tests/making/test_documentation.py runs the walk",
    r"^arkor-dev self (update|uninstall|add .*)$": "changes it: tests/cli/commands/test_self.py",
    r"^arkor-dev docs": "opens a browser: tests/cli/commands/test_docs.py",
    r"import-config": "a file of another tool: tests/cli/commands/test_import_config.py",
    r"data import|calls-rows": "logs of other programs: tests/cli/commands/test_import_traces.py",
    r"--then desk": "the agent's template: tests/project/test_agent_template.py",
    r"--name tickets": "a classifier's: tests/local/training/methods/test_classify_job.py",
    r"ARKOR_CONFORMANCE": "another backend: tests/conformance",
    r"^HTTPS_PROXY=": "a proxy: tests/backend/test_client.py",
    r"^arkor-dev login": "a browser and a person: tests/cli/account/test_login.py",
    r"^arkor-dev push": "a hub, after asking a person: tests/cli/commands/push, tests/local/server",
    r" --repeat": "tests/local/test_verify_repeat.py",
    r"doctor --train": "three more trainings: tests/local/test_doctor_train.py",
    r"…$": "the end is left out: with each end it stands elsewhere",
    r"^arkor-dev (completion|export|serve|verify|jobs cancel|local import)$": "a name, in a sentence",
}
PAGE: Final = {
    "arkor-dev ${verb} ${clean(job, 100)}${format}${bits}${strength}${step} ${to}": [
        "arkor-dev export JOB --checkpoint 2 --out FOLDER"
    ],
}
"""What the page's templates make; web/src/pages/job/exports/files.test.ts holds them to it."""
NEEDED: Final = {"--format gguf": "llama_cpp"}
"""Libraries of extras that a command needs: without them it is not run."""
EXIT_CODES: Final = {"arkor-dev whoami": 1, "arkor-dev status --json": 1}
STUDIO: Final = re.compile(r"arkor-dev --local|\./scripts/studio")
TOML: Final = """
[[trainer]]
name = "support-bot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 4
learning_rate = 1e-2
save_every = 2
eval_split = 0.2
samples = "off"
"""


def commands() -> list[Command]:
    """All of them, the page's templates filled in."""
    found = documented()
    assert {each.text for each in found if "${" in each.text and "arkor-dev" in each.text} == set(PAGE)
    return [
        Command(each.where, text, each.said) for each in found for text in PAGE.get(each.text, [each.text])
    ]


def reason(command: Command) -> str | None:
    """Why a command is not run here; None for one that is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.text)), None)


def is_possible(command: Command) -> bool:
    """Whether this environment has what a command needs."""
    return all(importlib.util.find_spec(name) for part, name in NEEDED.items() if part in command.text)


def test_documented_commands_run_or_have_a_reason_not_to() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    found = commands()
    assert len(found) > 90
    for command in found:
        why, text = reason(command), command.text
        ours = STUDIO.match(text) or text.startswith(("arkor-dev ", ". .venv/"))
        assert why or ours, f"{command.where}: {text}: run it, or say in NOT_RUN why not"
        named = re.findall(r"(?:FILE\.whl|the/clone)\[([^\]]+)\]|^arkor-dev self add (\S+)$", text)
        assert {extra for each in named for extra in "".join(each).split(",")} <= extras, text
        if script := re.match(r"\./(scripts/[\w-]+)", text):
            assert os.access(ROOT / script[1], os.X_OK), text
        if why and text.startswith("arkor-dev "):
            parser().parse(shlex.split(text.replace("M", "2").replace("…", "merged"))[1:])
    unused = [
        pattern for pattern in NOT_RUN if not any(re.search(pattern, command.text) for command in found)
    ]
    assert unused == []


@dataclass
class Sandbox:
    """A clone with its environment, a home, and a project with one trained job."""

    root: Path
    backend: Backend
    env: dict[str, str]
    key: str = ""
    jobs: list[str] = field(default_factory=list)
    compared: str = ""

    @property
    def project(self) -> Path:
        return self.root / "my-bot"

    def run(self, text: str, cwd: Path, code: int = 0) -> str | None:
        """Run a line in a shell; what is wrong with how it went."""
        done = subprocess.run(
            ["/bin/bash", "-ec", text],
            cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if found := re.search(r"^Started job (\S+)", done.stdout, re.MULTILINE):
            self.jobs.append(found[1])
        if cancelled := re.search(r"^(\S+) \(\S+\) is cancelled", done.stdout, re.MULTILINE):
            self.backend.call("DELETE", f"/v1/jobs/{cancelled[1]}")  # the latest is a whole one again
        wrong = done.returncode != code or "Traceback" in done.stderr
        return f"{done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}" if wrong else None

    def serve(self, text: str, cwd: Path, ready: str) -> str | None:
        """Run a line that serves until Ctrl-C; what is wrong with how it went."""
        port = free_port()
        text = re.sub(r" --port \d+|$", f" --port {port}", text, count=1)
        process = subprocess.Popen(
            ["/bin/bash", "-ec", f"exec {text}"],
            cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        said = ""
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    said += line
                    if key := re.search(r"shown only once: (\S+)", line):
                        self.key = key[1]
                    if ready in line:
                        break
                wrong = self.call(port) if "serve support-bot" in text else None
            finally:  # also where the time is up: leaving the block waits for its end
                process.send_signal(signal.SIGINT)
            said += process.stdout.read()
        if process.returncode != 0 or "error" in said or "Traceback" in said:
            wrong = f"{process.returncode}: {said[-2000:]}"
        return wrong

    def call(self, port: int) -> str | None:
        """Run the client of docs/serving.md."""
        code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
        assert code is not None
        program = code[1].replace("localhost:4000", f"localhost:{port}").replace("ak-…", self.key)
        (self.root / "client.py").write_text(program + "assert answer.choices[0].message.content\n")
        return self.run("python client.py", self.root)

    def typed(self, command: Command) -> str:
        """The command with what a person puts in its placeholders."""
        job = self.jobs[0] if self.jobs else "JOB"
        text = command.text.replace(" DIR", f" {self.root / 'figures'}")
        if text.startswith("arkor-dev verify"):
            data = Settings(self.project, self.root, Path(self.env["XDG_DATA_HOME"]) / "arkor-dev", self.root)
            text = text.replace("FOLDER", str(data.local_data / "jobs" / job / "final"))
        if text.startswith("arkor-dev jobs resume"):
            job = self.paused()
            text += " && arkor-dev jobs cancel JOB"
        if text.startswith("arkor-dev start --"):
            text = text.replace("FILE", "data/chats.jsonl")
        if "data/preferences.jsonl" in text:
            row = {"prompt": "Where is it?", "chosen": "Here.", "rejected": "There."}
            rows = [json.dumps({**row, "prompt": f"Where is number {n}?"}) for n in range(20)]
            (self.project / "data" / "preferences.jsonl").write_text("\n".join(rows))
        text = text.replace("FOLDER", str(self.root / f"out-{len(list(self.root.iterdir()))}"))
        text = text.replace("./models/larger", "./models/tiny")
        if "data/final.jsonl" in text:
            shutil.copy(self.project / "data" / "chats.jsonl", self.project / "data" / "final.jsonl")
        if "OTHER" in text:
            text = text.replace("OTHER", self.other())
        return (
            text.replace("JOB:20", f"{job}:2").replace("JOB", job).replace("NAME", job).replace("STEP", "2")
        )

    def other(self) -> str:
        """A job with another learning rate."""
        if not self.compared:
            count = len(self.jobs)
            assert self.run("arkor-dev start --local --set learning_rate=5e-3", self.project) is None
            self.compared = self.jobs[count]
        return self.compared

    def paused(self) -> str:
        """A job that was paused."""
        job = self.backend.submit(ENDLESS)
        self.backend.wait_for(job, "training.log")
        assert self.backend.call("POST", f"/v1/jobs/{job}/pause").status == 200
        return job


@pytest.fixture
def sandbox(tmp_path: Path, tiny: Path, template: dict[str, str]) -> Iterator[Sandbox]:
    if sys.platform != "linux" or not Path("/bin/bash").exists():
        pytest.skip("the commands are for bash")
    clone, home = tmp_path / "clone", tmp_path / "home"
    for folder in ("examples", "scripts"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    made_environment(clone, plain_of(template[FORKS]) if template else "")
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    env = kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "PATH": f"{clone / '.venv' / 'bin'}:/usr/bin:/bin",
        "BROWSER": "true",
        "HF_HUB_OFFLINE": "1",
        "ARKOR_ENGINE": "exact",  # no model is converted in the background
        "OMP_NUM_THREADS": "1",
        "ARKOR_LEAST_FREE_BYTES": "0",
        **of_a_studio(template),
    }
    project = tmp_path / "my-bot"
    data = Settings(project, home, home / ".local" / "share" / "arkor-dev", tmp_path).local_data
    project.mkdir()
    if LACKING is None:
        with_converters(tmp_path / "cache")
    backend = Backend.start(data, project, tmp_path / "cache", **template)
    box = Sandbox(tmp_path, backend, env)
    try:
        assert box.run("arkor-dev init my-bot", tmp_path) is None
        shutil.rmtree(project / "data")
        make_project(project, tiny)
        (project / "arkor.toml").write_text(TOML)
        backend.leave_word(project, home)
        assert box.run("arkor-dev start --local", project) is None
        yield box
    finally:
        backend.stop()


COMMAND: Final = """#!{python} -S
import os, signal, socket, sys
if len(sys.argv) < 2 or sys.argv[1] in ("--local", "setup", "self", "doctor") or not {template!r}:
    program = "import sys; from arkor_dev.cli.main import main; sys.exit(main())"
    os.execv("{python}", ["{python}", "-c", program, *sys.argv[1:]])
import json
order = {{"module": "arkor_dev", "env": dict(os.environ), "arguments": sys.argv[1:], "cwd": os.getcwd()}}
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect("\\0{template}")
socket.send_fds(connection, [json.dumps(order).encode()], [0, 1, 2])
started = int(connection.recv(64))
signal.signal(signal.SIGINT, lambda number, _: os.kill(started, number))
os._exit(int(connection.recv(64)))
"""
"""Most commands are forked: to import what they need takes longer than what they do. What looks at its own
installation, and Studio itself, is started."""


def made_environment(clone: Path, template: str) -> None:
    """An environment as ./scripts/studio leaves it, but with the packages of this one."""
    python = forking_python(clone / ".venv")
    command = python.with_name("arkor-dev")
    command.write_text(COMMAND.format(python=python, template=template))
    command.chmod(0o755)
    for file in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, clone / file)
    made_of = (clone / "pyproject.toml").read_bytes() + (clone / "constraints.txt").read_bytes()
    sums = subprocess.run(["/usr/bin/cksum"], input=made_of, capture_output=True, check=True).stdout.decode()
    (clone / ".venv" / "installed").write_text(f"{sums.strip()} [local]\n")


@pytest.mark.ci
def test_documented_commands_run_as_written(sandbox: Sandbox) -> None:
    wrong: dict[str, str | None] = {}
    for command in commands():
        if reason(command) or not is_possible(command):
            continue
        text, cwd = sandbox.typed(command), sandbox.project
        if text.startswith((". ", "./")) or " examples/" in text:
            cwd = sandbox.root / "clone"
        elif STUDIO.match(text) or " init" in text:
            cwd = sandbox.root / f"another-{len(wrong)}"
            cwd.mkdir()
        if text.startswith(". "):
            text += f' && test "$(command -v arkor-dev)" = {cwd}/.venv/bin/arkor-dev'
        if STUDIO.match(text):
            fault = sandbox.serve(text, cwd, "Identity")
        elif text.startswith("arkor-dev serve"):
            fault = sandbox.serve(text, cwd, "Press Ctrl-C")
        else:
            fault = sandbox.run(text, cwd, EXIT_CODES.get(text, 0))
        wrong[f"{command.where}: {text}"] = fault
    wrong["verify latest"] = sandbox.run("arkor-dev verify latest", sandbox.project)
    wrong["jobs show"] = sandbox.run(f"arkor-dev jobs show {sandbox.jobs[0]}", sandbox.project)
    faults = {command: fault for command, fault in wrong.items() if fault}
    assert not faults, "\n".join(f"{command}\n    {fault}" for command, fault in faults.items())
