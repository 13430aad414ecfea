"""What import-linter cannot see of the design: who calls the backend or prints, what a start loads."""

from __future__ import annotations

import ast
import functools
import gc
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import arkor_dev
from arkor_dev.contract.settings import by_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = Path(arkor_dev.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "static" not in path.parts and "template" not in path.parts
}
STUDIO = [name for name in MODULES if not name.startswith("local/")]
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "tokenizers",
    "datasets",
    "gguf",
    "accelerate",
    "numpy",
    "pyarrow",
    "ray",
    "grpc",
    "llguidance",
}


@functools.cache
def tree_of(name: str) -> ast.Module:
    """A module's syntax. It is read when a test looks at it: each process that tests imports this file."""
    return ast.parse(MODULES[name].read_text())


@functools.cache
def nodes_of(name: str) -> list[ast.AST]:
    """All of it."""
    nodes = list(ast.walk(tree_of(name)))
    gc.freeze()  # a million objects that stay are not looked through for garbage
    return nodes


def imports(name: str) -> Iterator[str]:
    """Every module that a module imports, by its full name, those for the type checker and lazy ones too."""
    home = ["arkor_dev", *name.split("/")[:-1]]
    for node in nodes_of(name):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield whole
            yield from (f"{whole}.{alias.name}" for alias in node.names)


def within(name: str, module: str) -> bool:
    """Whether ``name`` is ``module`` or lies in it."""
    return name == module or name.startswith(f"{module}.")


def texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Every text among them that is not a docstring."""
    nodes = list(nodes)
    docstrings = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@functools.cache
def calls(name: str) -> list[str]:
    """The dotted name of everything that a module calls."""
    return [_dotted(node.func) for node in nodes_of(name) if isinstance(node, ast.Call)]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ast.unparse(node)


def test_the_module_map_is_complete() -> None:
    assert {
        "server/app",
        "server/api/train",
        "backend/client",
        "local/server/app",
        "local/training/worker",
    } <= set(MODULES)


def test_only_backend_calls_v1() -> None:
    users = {name for name in STUDIO if any(t == "v1" or "/v1" in t for t in texts(nodes_of(name)))}
    # in-toto's formats have versions, too, and so has the API of OpenAI that Studio serves
    # http://localhost:1234/v1
    names_a_teacher = {
        "teacher/client", "contract/settings/own_sets", "cli/commands/make", "cli/command_table",
    }  # fmt: skip
    ours = {"backend/calls", "contract/provenance/statement", "contract/deployments"}
    assert users == ours | names_a_teacher
    by_http = {
        name for name in STUDIO for call in calls(name)
        if call.endswith(("http.call", "http.stream"))
    }  # fmt: skip
    assert by_http == {
        "backend/calls",
        "backend/client",
        "identity/token_refresh",
    }  # refresh: the account's token, from the sign-in service
    sessions = {name for name in STUDIO for call in calls(name) if call.endswith("ClientSession")}
    # A project's own webhook and a teacher are no backend: nothing of one (its token, its address) is near
    # those sessions.
    # Nor is the Studio on this machine that `status` asks.
    assert sessions == {"backend/http_client", "notices/delivery", "teacher/client", "cli/commands/status"}


def test_the_api_does_not_call_the_network() -> None:
    for name in MODULES:
        if name.startswith("server/api/"):
            assert not [call for call in calls(name) if call.startswith(("aiohttp.", "open_http_client"))], (
                name
            )


def test_studio_imports_five_packages_and_the_standard_library() -> None:
    core = {"aiohttp", "aiohttp_sse", "yarl", "rich", "platformdirs"}
    # Of extras, and imported when a file needs them.
    optional = {
        "data/parquet_worker": {"pyarrow"},
        "jobs/figures": {"tensorboard"},
        "making/document_worker": {"docx", "pypdf"},
        "cli/commands/push/uploader": {"huggingface_hub"},
        "project/import_config/entries": {"yaml"},
        "sdk/live": {"anywidget", "traitlets"},
        "sdk/mcp_server": {"mcp", "pydantic"},  # with mcp come pydantic and typing_extensions
        "sdk/mcp_results": {"typing_extensions"},
    }
    used = {
        top
        for name in STUDIO
        for top in {module.partition(".")[0] for module in imports(name)} - optional.get(name, set())
    } - {"arkor_dev", ""}
    assert used - sys.stdlib_module_names - {"__future__"} == core
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    required = {line.partition(">")[0].replace("-", "_") for line in project["dependencies"]}
    assert required == core


OF_A_JOB = {
    "jobs", "final", "checkpoints", "resume", "parent", "evaluation", "attribution", "exports", "reports",
    "job.json",
    "votes.jsonl", "verdict.json", "history.json", "samples.jsonl",
}  # fmt: skip
"""What lies in a job's folder, and the folder of these."""


def test_one_module_builds_job_paths() -> None:
    """Others would have to look for links and names that lead elsewhere: an archive brings such."""
    builders = {
        name
        for name in MODULES
        if name.startswith("local/")
        for node in nodes_of(name)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        for text in texts(ast.walk(node.right))
        if text.split("/")[0] in OF_A_JOB
    }
    # A node of a cluster has one job in a home of its own.
    assert builders == {"local/jobs/job_folder", "local/cluster/node/actor"}


def test_only_the_command_line_prints() -> None:
    printing = {
        name for name in STUDIO for call in calls(name)
        if call in ("print", "Console") or call.startswith(("sys.stdout.", "sys.stderr."))
    }  # fmt: skip
    assert printing <= {
        "cli/main", "cli/banner", "cli/standard_error", "cli/console", "cli/progress_view", "cli/consent",
        "cli/commands/start", "cli/commands/docs", "cli/commands/setup", "cli/commands/self_command",
        "cli/commands/init", "cli/commands/doctor", "cli/commands/train_check", "cli/account/login",
        "cli/account/whoami",
        "cli/commands/data", "cli/commands/import_traces", "cli/commands/make", "cli/commands/evaluate",
        "cli/commands/forget",
        "cli/commands/export/run",
        "cli/commands/jobs",
        "cli/commands/cluster", "cli/commands/local", "cli/commands/waiting",
        "cli/commands/verify", "cli/commands/serve", "cli/commands/endpoints",
        "cli/commands/push/run", "cli/commands/push/uploader", "cli/commands/import_config",
        "cli/commands/completion",
        "cli/commands/ssh", "cli/commands/status", "cli/commands/sweep", "cli/commands/why",
        # On the other machine: their output is a protocol, and a log.
        "connection/ssh/far_side", "connection/ssh/keeper",
    }  # fmt: skip
    assert {"cli/main", "cli/console", "cli/commands/doctor"} <= printing


def test_every_module_has_a_docstring() -> None:
    assert [name for name in MODULES if not ast.get_docstring(tree_of(name))] == []


RUNNING = """
import asyncio, json, sys, urllib.request
from pathlib import Path
from arkor_dev.cli import main as cli
from arkor_dev.server.serve import bind, serving
from arkor_dev.core.settings import Settings

async def main(folder):
    settings = Settings(project=folder, home=folder, data=folder, cache=folder, cloud_url="http://127.0.0.1:9")
    sock = bind(0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    async with serving(settings, sock):
        page = await asyncio.to_thread(lambda: opener.open(url).read())
        assert b"arkor-studio-token" in page
        print(json.dumps(sorted(sys.modules)))

asyncio.run(main(Path(sys.argv[1])))
"""


def modules_of(code: str, *arguments: str) -> set[str]:
    """What a Python of its own has imported after ``code``, which prints it as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_a_running_studio_has_imported_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / ".arkor").mkdir()
    (tmp_path / ".arkor" / "credentials.json").write_text(
        '{"mode": "anon", "token": "t", "anonymousId": "a", "orgSlug": "o"}'
    )
    loaded = modules_of(RUNNING, str(tmp_path))
    assert "arkor_dev.server.app" in loaded
    assert not loaded & HEAVY
    # The way to the page's first byte: what only the terminal or a command needs is not on it.
    assert not {module for module in loaded if within(module, "rich")}
    assert not loaded & {
        "arkor_dev.cli.console",
        "arkor_dev.cli.commands.doctor",
        "arkor_dev.cli.commands.start",
        "arkor_dev.contract.settings",
        "arkor_dev.project.toml.edit",
        "webbrowser",
    }


def test_messages_use_arkor_toml_names_of_settings() -> None:
    """Only `check_config`, whose readers write the wire's fields, names these."""
    wire = {field for field, setting in by_field().items() if setting.key != field and not field.islower()}
    found = []
    for name in MODULES:
        if not name.startswith("local/") or name == "local/jobs/job_config":
            continue
        docstrings = {node.value for node in nodes_of(name) if isinstance(node, ast.Expr)}
        for node in nodes_of(name):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                words = re.findall(r"\w+", node.value) if " " in node.value.strip() else []
                found += [f"{name}:{node.lineno}: {word}" for word in words if word in wire]
    assert found == []


@pytest.mark.parametrize(
    "module",
    [
        "arkor_dev.local.server.app",
        "arkor_dev.local.__main__",
        "arkor_dev.local.training.worker",  # bad rows are told before seconds are spent on torch
        "arkor_dev.cli.main",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = modules_of(code)
    assert module in loaded
    assert not loaded & HEAVY


ANY_IN_MESSAGES = {
    "Measured.measurement": "figures of a forecast, checked by Measurement.of_json",
    "AskView.fields": "the arguments of a method of View",
    "ViewAnswered.answer": "the result of a method of View",
}
"""The fields of messages that are not typed, and why."""


def test_every_untyped_field_of_a_message_has_a_reason() -> None:
    found = set()
    for name in MODULES:
        for node in nodes_of(name) if name.endswith("messages") else ():
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Message" for base in node.bases):
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and re.search(
                        r"\bAny\b", ast.unparse(item.annotation)
                    ):
                        found.add(f"{node.name}.{ast.unparse(item.target)}")
    assert found == ANY_IN_MESSAGES.keys()


def test_no_package_has_more_lines_with_any_than_before() -> None:
    """See them with ``scripts/any_lines.py --list PACKAGE``; ``--write`` stores the numbers."""
    stored = json.loads((PACKAGE.parent / "tests" / "any_lines.json").read_text())
    counted = Counter(
        "/".join(name.split("/")[:-1][: 2 if name.startswith("local/") else 1]) or "."
        for name, path in MODULES.items()
        for line in path.read_text().splitlines()
        if re.search(r"\bAny\b", line)
    )
    assert {name: count for name, count in counted.items() if count > stored.get(name, 0)} == {}


def test_each_class_name_is_defined_once() -> None:
    places: dict[str, list[str]] = {}
    for name in MODULES:
        for node in nodes_of(name):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{name}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
