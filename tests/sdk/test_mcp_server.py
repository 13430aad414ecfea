"""`arkor-dev mcp` with the protocol's own client over stdio: what an assistant can and cannot do."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

pytest.importorskip("mcp")
pytest.importorskip("torch")
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, Implementation

from arkor_dev.cli.main import main, parser
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.settings import Settings
from arkor_dev.project.start_requests import answer, folder_of, waiting
from arkor_dev.sdk.async_studio import AsyncStudio
from arkor_dev.sdk.mcp_results import Jobs  # noqa: TC001 (read by get_type_hints)
from arkor_dev.sdk.mcp_server import Tools, server_of, structured
from tests.local.conftest import made_once, make_project
from tests.local.forking_backend import worker_template
from tests.local.harness import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
TOML = """
[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 4
learning_rate = 1e-2
eval_split = 0.2
save_every = 2
samples = "off"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A project that a running backend serves, as if Studio were open on it."""
    home = tmp_path_factory.mktemp("home")
    folder = make_project(tmp_path_factory.mktemp("mcp") / "own", made_once(tmp_path_factory))
    (folder / "arkor.toml").write_text(TOML)
    settings = Settings(folder, home, home / ".local" / "share" / "arkor-dev", home / "cache", local=True)
    backend = Backend.start(settings.local_data, folder, home / "cache", **worker_template())
    try:
        backend.leave_word(folder, home)
        yield settings
    finally:
        backend.stop()


def process_of(settings: Settings) -> StdioServerParameters:
    environment = {"HOME": str(settings.home)}
    argv = ["-m", "arkor_dev", "mcp", "--local", "--project", str(settings.project)]
    return StdioServerParameters(command=sys.executable, args=argv, env=environment)


async def call(client: Client, tool: str, **given: Any) -> Any:
    result = await client.call_tool(tool, given)
    assert not result.is_error, text_of(result)
    assert json.loads(text_of(result)) == result.structured_content
    return result.structured_content


async def refused(client: Client, tool: str, **given: Any) -> str:
    result = await client.call_tool(tool, given)
    assert result.is_error
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    return "".join(getattr(part, "text", "") for part in result.content)


async def test_an_invalid_trainer_is_listed_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    good = '[[trainer]]\nname = "good"\nmodel = "m"\ndataset = "chats.jsonl"\nsteps = 1\n'
    (tmp_path / "arkor.toml").write_text(good + '[[trainer]]\nname = "bad"\nsteps = -1\n')
    settings = Settings(tmp_path, tmp_path, tmp_path / "data", tmp_path / "cache", local=True)
    first, second = (await Tools(settings, allow_start=False).list_trainers())["trainers"]
    assert (first["name"], first["data"], "problem" in first) == ("good", "chats.jsonl", False)
    assert first["settings"] == {"model": "m", "steps": 1}
    assert (second["name"], "steps" in second["problem"], "settings" in second) == ("bad", True, False)


@pytest.fixture
def quiet_project(tmp_path: Path) -> Settings:
    """A project that nothing is open on."""
    (tmp_path / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "other.jsonl").write_text('{"prompt": "c", "completion": "d"}\n')
    trainer = '[[trainer]]\nname = "good"\nmodel = "m"\ndataset = "chats.jsonl"\nsteps = 7\n'
    (tmp_path / "arkor.toml").write_text(trainer)
    return Settings(tmp_path, tmp_path, tmp_path / "data", tmp_path / "cache", local=True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"epochs": 1, "num_train_epochs": 9999}, "the same setting"),
        ({"replay": 0.2, "replay_dataset": "other.jsonl"}, "the trainer's own"),
        ({"base_kl": 0.2, "replayDataset": "other.jsonl"}, "the trainer's own"),
        ({"method": "embed", "corpus": "other.jsonl"}, "Set corpus in arkor.toml instead"),
        ({"numTrainEpochs": 1}, "Write epochs for numTrainEpochs, as list_trainers does"),
        ({"lora": {"rank": 4}}, "lora"),
        ({"dry_run": True}, "not one of the settings"),
        ({"dryRun": True}, "not one of the settings"),
        ({"model": "m" * 2000}, "model"),
    ],
)
@pytest.mark.parametrize("allow_start", [False, True])
async def test_a_request_that_cannot_be_displayed_is_refused(
    quiet_project: Settings, settings: dict[str, Any], reason: str, allow_start: bool
) -> None:
    tools = Tools(quiet_project, allow_start=allow_start)
    with pytest.raises(BadRequestError, match=reason):
        await tools.start_training("test", None, settings, dry_run=False)
    assert list(waiting(folder_of(quiet_project))) == []


async def test_a_request_shows_every_setting_that_the_run_would_change(
    quiet_project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_dev.sdk.mcp_server.PATIENCE", 0.0)
    tools = Tools(quiet_project, allow_start=False)
    changes = {"epochs": 9999, "lora": {"r": 4}, "model": "n", "samples": "off"}
    await tools.start_training("test", None, changes, dry_run=True)
    request = await one_request(quiet_project)
    await tools.close()
    assert (request["model"], request["data"], request["dryRun"]) == ("n", "chats.jsonl", True)
    assert request["changes"] == [
        ["model", '"n"'], ["steps", "removed"], ["epochs", "9999"], ["lora.r", "4"], ["samples", '"off"'],
    ]  # fmt: skip


async def test_an_assistant_starts_an_allowed_run_and_reads_its_result(project: Settings) -> None:
    me = Implementation(name="test\u202e client", version="1")
    async with Client(process_of(project), client_info=me, mode="legacy") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {
            "list_trainers", "check_data", "list_jobs", "start_training", "training_request", "watch_job",
            "pause_job", "resume_job", "get_verdict", "compare_jobs", "chat", "export_job", "export_status",
        }  # fmt: skip
        assert [each["name"] for each in (await call(client, "list_trainers"))["trainers"]] == ["parrot"]

        changed = {"learning_rate": 0.02, "lora.r": 4}
        asked = asyncio.create_task(call(client, "start_training", settings=changed))
        request = await one_request(project)
        assert (request["client"], request["name"], request["data"]) == (
            "test client",
            "parrot",
            "data/chats.jsonl",
        )
        assert request["changes"] == [["learning_rate", "0.02"], ["lora.r", "4"]]
        assert await call(client, "list_jobs") == {"jobs": []}
        answer(folder_of(project), request["id"], allow=True)
        started = await asked

        done = await call(client, "watch_job", job=started["job"], seconds=40)
        assert done["status"] == "completed"
        assert {"step", "loss", "evalLoss"} <= set(done["lastFigures"])
        verdict = await call(client, "get_verdict")
        assert (
            verdict["sentence"] == (await call(client, "list_jobs", status="completed"))["jobs"][0]["verdict"]
        )
        said = await call(client, "chat", question="Hello", max_tokens=4)
        assert said["job"] == started["job"]
        assert said["answer"]

        seen: list[str | None] = []

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            seen.append(message)

        result = await client.call_tool("export_job", {"format": "adapter"}, progress_callback=progressed)
        export = result.structured_content
        assert export is not None, text_of(result)
        while export["state"] == "running":
            assert export["progress"]
            export = await call(client, "export_status", export=export["export"])
        folder = Path(export["path"])
        assert folder == project.project / "exports" / "parrot-adapter"
        assert (folder / "adapter_model.safetensors").is_file()
        assert export["proof"]["verdict"] == "same"
        assert any(str(folder) in line for line in export["use"])
        assert seen
        again = await call(client, "export_job")
        assert Path(again["path"]).name == "parrot-adapter-2"
        assert "no such export" in await refused(client, "export_status", export="x")
        assert await refused(client, "export_job", format="../x")


async def test_a_run_nobody_allowed_is_not_started(project: Settings) -> None:
    async with Client(server_of(Tools(project, allow_start=False))) as client:
        before = await call(client, "list_jobs")
        asked = asyncio.create_task(refused(client, "start_training"))
        answer(folder_of(project), (await one_request(project))["id"], allow=False)
        assert "denied" in await asked
        for settings in ({"dataset": "/etc/passwd"}, {"name": "x"}, {"lora.r": 0}, {"nothing": 1}):
            assert await refused(client, "start_training", settings=settings)
        assert "no such request" in await refused(client, "training_request", request="x")
        assert await call(client, "list_jobs") == before
        asked = asyncio.create_task(refused(client, "start_training"))
        await one_request(project)
    asked.cancel()
    assert list(waiting(folder_of(project))) == []


async def test_a_server_with_allow_start_does_not_ask(project: Settings) -> None:
    async with Client(server_of(Tools(project, allow_start=True))) as client:
        started = await call(client, "start_training", dry_run=True)
        assert (await call(client, "watch_job", job=started["job"], seconds=40))["status"] == "completed"
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {
            name for name, tool in listed.items() if tool.annotations and tool.annotations.read_only_hint
        } == {
            *("list_trainers", "check_data", "list_jobs", "training_request", "watch_job", "get_verdict"),
            *("compare_jobs", "chat", "export_status"),
        }
        assert [name for name, tool in listed.items() if not tool.output_schema] == []
        schema = listed["get_verdict"].output_schema
        assert schema is not None
        part = schema["$defs"]["EvaluationPart"]
        assert {"rows", "base", "adapter", "difference", "sentence"} <= set(part["required"]), (
            "the contract's"
        )


async def test_the_backend_of_a_started_run_stays_open_until_waiting_calls_have_answered(
    quiet_project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """watch_job waits for the same end as the server, and then still has to read how the run ended."""
    closed = asyncio.Event()

    class Studio:
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def close(self) -> None:
            closed.set()

    class EndedRun:
        async def wait(self) -> None:
            pass

    monkeypatch.setattr(AsyncStudio, "of", lambda *_, **__: Studio())
    tools = Tools(quiet_project, allow_start=True)
    async with tools._studio():
        keeping = asyncio.create_task(tools._keep(Studio(), EndedRun()))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        assert not closed.is_set()
    await keeping
    assert closed.is_set()


async def test_an_answer_that_breaks_its_type_is_refused_without_quoting_it() -> None:
    async def tool() -> Jobs:
        return {"jobs": [{"job": "j", "name": {"secret": "token"}}]}  # type: ignore[typeddict-item]

    with pytest.raises(ToolError) as refusal:
        await structured(tool)()
    assert str(refusal.value) == "The backend's answer is not as its contract says, at jobs.0.name."


async def test_exports_are_not_written_through_a_link_out_of_the_project(
    quiet_project: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (quiet_project.project / "exports").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(BadRequestError, match="is a link"):
        Tools(quiet_project, allow_start=False)._export_folder("a/../b-adapter")
    (quiet_project.project / "exports").unlink()
    folder = Tools(quiet_project, allow_start=False)._export_folder("a/../b-adapter")
    assert folder.parent == quiet_project.project / "exports"


async def test_an_assistant_checks_the_data_before_a_run(quiet_project: Settings) -> None:
    (quiet_project.project / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\nnonsense\n')
    report = await Tools(quiet_project, allow_start=False).check_data()
    assert report["rows"] == 2
    assert "not-json" in {finding["code"] for finding in report["findings"]}


def test_the_documented_configuration_is_a_valid_command() -> None:
    page = (ROOT / "docs" / "mcp.md").read_text()
    block = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert block
    configured = json.loads(block[1])["mcpServers"]["arkor-studio"]
    assert configured["command"] == "arkor-dev"
    assert parser().parse(configured["args"]).command == "mcp"


@pytest.mark.parametrize("options", [[], ["--allow-start"]])
def test_only_the_option_lets_an_assistant_start_runs(
    quiet_project: Settings, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[bool] = []

    async def serve(_: Settings, *, allow_start: bool) -> int:
        served.append(allow_start)
        return 0

    monkeypatch.setattr("arkor_dev.sdk.mcp_server.run_mcp", serve)
    assert main(["mcp", "--local", "--project", str(quiet_project.project), *options]) == 0
    assert served == [bool(options)]


async def one_request(settings: Settings) -> Any:
    """Wait for a request to arrive."""
    async with asyncio.timeout(60):
        while not (found := list(waiting(folder_of(settings)))):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found[0]
