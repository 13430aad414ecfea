"""``arkor-dev push`` against a hub on 127.0.0.1: what leaves, what is refused, what is gone on with."""

from __future__ import annotations

import asyncio
import atexit
import builtins
import functools
import hashlib
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("huggingface_hub")

from arkor_dev.cli import consent
from arkor_dev.cli.commands.push import hub as hub_side
from arkor_dev.cli.commands.push import run
from arkor_dev.client import background_work
from arkor_dev.contract.extras import install_command
from tests.cli.commands.test_jobs import Command, command
from tests.local.forked import Template
from tests.local.forking_backend import TRUE_START, ForkedProcess
from tests.support.fake_exports import FILES, PROOF
from tests.support.fake_hub import TOKEN, FakeHub, Repository, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.cli.commands.push.messages import LookOrder, PushOrder, RepositoryState
    from arkor_dev.core.settings import Settings
    from arkor_dev.local.exports.formats import Result
    from tests.support.fake_backend import FakeBackend

__all__ = ["command"]

CARD = b"---\nlicense: mit\nlibrary_name: peft\n---\n# Keeper\n"
ALL = FILES | {"README.md": CARD, "provenance.json": b"{}"}
CREATED = "POST /v1/jobs/{id}/exports"


AGAIN = "tests.cli.commands.push.uploader_again"


@functools.cache
def template() -> str:
    """Start what the processes that publish are forked from, and return its name.

    Importing the library of the Hub takes most of their time. ``tests/local/server/test_push.py`` starts true
    ones.
    """
    template = Template((AGAIN, hub_side.MODULE), os.environ)
    atexit.register(template.end)
    return template.name


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_work, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(run, "PAUSE_SECONDS", 0.01)
    if sys.platform != "linux":
        return
    name = template()  # not in a command's thread, with whose end it would end

    async def forked(*argv: Any, **how: Any) -> Any:
        if argv[-1] != hub_side.MODULE:
            return await TRUE_START(*argv, **how)
        return await ForkedProcess.start(AGAIN, how["env"], name)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", forked)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield made


@pytest.fixture
def job(signed_in: None, fake_backend: FakeBackend) -> str:
    del signed_in
    fake_backend.features = ["exports", "card"]
    fake_backend.exports.files = dict(ALL)
    return fake_backend.add_job("completed", name="keeper\x1b[31m")


def left_over(settings: Settings) -> list[Path]:
    return [*settings.cache.glob("push-*")]


async def test_push_uploads_an_export_and_sends_the_token_to_the_hub_only(
    command: Command,
    fake_backend: FakeBackend,
    hub: FakeHub,
    job: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[Any, ...]] = []
    right = asyncio.create_subprocess_exec

    async def watched(*argv: Any, **how: Any) -> Any:
        started.append(argv)
        return await right(*argv, **how)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    said = await command.run(0, "push", job, "ann/keeper", "--yes")
    assert f"{hub.url}/ann/keeper (public): adapter" in said
    assert PROOF["sentence"] in said
    assert hub.repos["ann/keeper"].files == ALL
    assert len(hub.repos["ann/keeper"].commits) == 2
    assert not hub.repos["ann/keeper"].private
    assert fake_backend.exports.of(job) == {}, "it was made for this alone"
    assert left_over(settings) == []
    assert len(started) == 2
    assert TOKEN not in str(started) + said
    # The storage that receives the files does not need the token, and must not get it.
    assert {told for method, _, told in hub.asked if method == "PUT"} == {None}
    assert {told for method, _, told in hub.asked if method != "PUT"} == {f"Bearer {TOKEN}"}


async def test_push_json_lists_the_uploaded_files(command: Command, hub: FakeHub, job: str) -> None:
    told = json.loads(await command.run(0, "push", job, "acme/keeper", "--private", "--json", "--yes"))
    assert hub.repos["acme/keeper"].private
    assert told["export"]["proof"] == PROOF
    assert told["repository"] == {
        "name": "acme/keeper",
        "url": f"{hub.url}/acme/keeper",
        "created": True,
        "files": sorted(ALL),
        "removed": [],
        "private": True,
        "commit": hub.repos["acme/keeper"].commits[-1],
        "changed": True,
        "sent": len(ALL["adapter_model.safetensors"]),
    }


@pytest.fixture
def public_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uploader's messages of a push to huggingface.co that succeeds."""

    async def run_uploader(order: LookOrder | PushOrder, _: object) -> object:
        if order["do"] == "push":
            return {"commit": "c0ffee", "private": False, "changed": True, "sent": 7}
        missing: RepositoryState = {"exists": False, "private": None, "files": [], "commit": None}
        return {"user": "ann", "endpoint": "https://huggingface.co", **missing}

    monkeypatch.setattr(hub_side, "run_uploader", run_uploader)


FROM_THE_HUB: list[tuple[Result, str, list[str]]] = [
    ("embedder", "merged", ['In Python: SentenceTransformer("ann/keeper")']),
    ("reranker", "merged", ['In Python: CrossEncoder("ann/keeper")']),
    (
        "classifier",
        "adapter",
        [
            (
                "In Python: PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained("
                'BASE, num_labels=LABELS), "ann/keeper")'
            )
        ],
    ),
    (
        "embedder",
        "gguf",
        [
            "llama.cpp: llama-server -hf ann/keeper -hff model.gguf --embeddings",
            (
                'In Python: llama_cpp.Llama.from_pretrained("ann/keeper", "model.gguf", embedding=True)'
                ".embed(TEXT, normalize=True)"
            ),
        ],
    ),
    (
        "reranker",
        "onnx",
        [
            (
                'In Python: inputs = AutoTokenizer.from_pretrained("ann/keeper")(QUERIES, DOCUMENTS, '
                'padding=True, truncation=True, return_tensors="np")'
            ),
            (
                'ONNX Runtime: InferenceSession(snapshot_download("ann/keeper") + "/model.onnx")'
                ".run(None, dict(inputs))"
            ),
        ],
    ),
    (
        "writer",
        "merged",
        ['In Python: AutoModelForCausalLM.from_pretrained("ann/keeper")', "vLLM: vllm serve ann/keeper"],
    ),
    (
        "writer",
        "ollama",
        [
            "Fetch it: hf download ann/keeper --local-dir keeper-31m",
            "Ollama: ollama create keeper-31m -f keeper-31m/Modelfile",
            "Then: ollama run keeper-31m",
        ],
    ),
]


@pytest.mark.parametrize(("result", "form", "commands"), FROM_THE_HUB)
@pytest.mark.usefixtures("public_hub")
async def test_push_says_how_programs_use_the_model_from_the_hub(
    command: Command, fake_backend: FakeBackend, job: str, result: Result, form: str, commands: list[str]
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.result = result
    said = await command.run(0, "push", job, "ann/keeper", "--format", form, "--yes")
    assert said.startswith(f"https://huggingface.co/ann/keeper (public): {form}")
    assert said.splitlines()[1:] == [PROOF["sentence"], "", *commands]


@pytest.mark.usefixtures("public_hub")
async def test_push_says_only_the_address_if_the_backend_sends_no_usage(
    command: Command, fake_backend: FakeBackend, job: str
) -> None:
    made = {"id": "exp_0", "format": "merged", "state": "completed", "proof": PROOF, "bytes": 4}
    usages: list[dict[str, Any]] = [
        {},
        {"hubUsage": []},
        {"hubUsage": {"vLLM": 7}},
        {"hubUsage": [7, ["vLLM"]]},
    ]
    for usage in usages:
        fake_backend.exports.of(job).clear()
        fake_backend.exports.add(job, {**made, **usage, "files": fake_files(fake_backend)})
        said = await command.run(0, "push", job, "ann/keeper", "--format", "merged", "--yes")
        address, proof = said.splitlines()
        assert address.startswith("https://huggingface.co/ann/keeper (public): merged")
        assert proof == PROOF["sentence"]


@pytest.mark.usefixtures("public_hub")
async def test_usage_from_the_backend_is_shown_without_control_characters(
    command: Command, fake_backend: FakeBackend, job: str
) -> None:
    made = {"id": "exp_0", "format": "merged", "state": "completed", "proof": PROOF, "bytes": 4}
    usage = [["In\nPython\x1b[31m", f"load('REPOSITORY')\x9b{'x' * 999}"]]
    fake_backend.exports.add(job, {**made, "hubUsage": usage, "files": fake_files(fake_backend)})
    said = await command.run(0, "push", job, "ann/NAME", "--format", "merged", "--yes")
    *_, line = said.splitlines()
    assert line.startswith("In Python: load('ann/NAME')xx")
    assert len(line) <= 500


async def test_push_asks_before_publishing(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await command.run(2, "push", job, "ann/keeper")
    assert "ann/keeper would be published, but there is no terminal to ask at: add --yes" in refused
    assert "--yes" in await command.run(2, "push", job, "ann/keeper", "--json")
    assert (hub.asked, fake_backend.exports.made) == ([], {})
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return answers.pop(0)

    monkeypatch.setattr(consent, "can_ask", lambda: True)
    monkeypatch.setattr(run, "can_ask", lambda: True)
    monkeypatch.setattr(builtins, "input", answer)
    answers = ["", "y"]
    assert await command.run(0, "push", job, "ann/keeper", "--private") == "Nothing was published.\n"
    assert hub.repos == {}
    assert fake_backend.exports.of(job) == {}
    size = sum(map(len, ALL.values()))
    what = f"{job} (keeper), adapter, {size / 1000:.1f} kB in 4 files, will be published as"
    assert questions == [f"{what} {hub.url}/ann/keeper: private, by ann.\nPublish it? [y/N] "]
    await command.run(0, "push", job, "ann/keeper")
    assert "public, visible to everyone, by ann." in questions[1]
    assert hub.repos["ann/keeper"].files == ALL


async def test_the_stored_hub_token_is_used(
    command: Command, hub: FakeHub, job: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    host = hub.url.removeprefix("http://")
    assert f"No token for {host}: sign in with `hf auth login`, or set HF_TOKEN." in said
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text(TOKEN)
    await command.run(0, "push", job, "ann/keeper", "--yes")
    assert hub.repos["ann/keeper"].files == ALL


async def test_hub_refusals_are_reported_before_exporting(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(name: str = "ann/keeper", *more: str) -> str:
        said = await command.run(2, "push", job, name, "--yes", *more)
        assert TOKEN not in said
        assert fake_backend.exports.made == {}, "nothing is exported for nothing"
        return said

    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong1")
    said = await refused()
    assert "refuses the token" in said
    assert "hf_wrong" not in said
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.role = "read"
    assert f"read-only. Create one with write access at {hub.url}/settings/tokens" in await refused()
    hub.role = "write"
    assert "may not write as bob: choose one of ann, acme, as in ann/keeper" in await refused("bob/keeper")
    hub.repos["ann/open"] = Repository(private=False)
    assert "ann/open exists and is public" in await refused("ann/open", "--private")
    hub.told = {"id": "ann/new\x1b[31m"}
    assert "was renamed to ann/new" in await refused("ann/open")
    hub.told = {"name": ["\x1b[31m"], "orgs": "x", "auth": 3}
    assert "may not write as ann" in await refused()
    hub.told = {}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in await refused()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://192.0.2.1")
    assert "HF_ENDPOINT must begin with https:" in await refused()
    monkeypatch.setattr(hub_side, "LIBRARY", "no_such_library")
    assert install_command("hub") in await refused()


@pytest.mark.parametrize(
    "name",
    ["", "keeper", "a/b/c", "../x/y", "ann/..", "ann/.x", "ann/x.git", "ann/x--y", "ann/x y", "-ann/x",
     "ann/x\x1b[31m", "https://evil/x", "ann/é", f"ann/{'x' * 99}"],
)  # fmt: skip
async def test_invalid_repository_names_are_refused(
    command: Command, hub: FakeHub, job: str, name: str
) -> None:
    said = await command.run(2, "push", "--yes", "--", job, name)
    assert "NAME/REPOSITORY" in said
    assert "\x1b" not in said
    assert hub.asked == []


async def test_a_missing_write_permission_keeps_the_export(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    hub.role = "fineGrained"  # of which the hub does not tell what it may
    said = await command.run(2, "push", job, "bob/keeper", "--yes")
    assert "does not let this token write bob/keeper: it lacks the permission" in said
    hub.faults = lambda _, path: 403 if path.endswith("/commit/main") else None
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert "does not let this token write ann/keeper" in said
    assert "refused [token]?" in said, (
        "what the hub says is told without the token, and without control characters"
    )
    assert len(fake_backend.exports.of(job)) == 1
    hub.faults = lambda *_: None
    await command.run(0, "push", job, "ann/keeper", "--yes")
    assert hub.repos["ann/keeper"].files == ALL
    assert fake_backend.count(CREATED) == 1, "what was made and proved is taken again"


async def test_a_private_push_refuses_a_public_repository(command: Command, hub: FakeHub, job: str) -> None:
    hub.obeys = False
    said = await command.run(2, "push", job, "ann/keeper", "--private", "--yes")
    assert "ann/keeper is public. Nothing was published" in said
    assert (hub.puts(), hub.repos["ann/keeper"].files) == ([], {})


@pytest.mark.parametrize("part", [None, 300])
async def test_an_interrupted_upload_continues_without_duplicates(
    command: Command, hub: FakeHub, job: str, part: int | None
) -> None:
    hub.part = part
    cuts = {"/put/": ["cut", "cut"], "/part/": ["cut"], "/commit/": ["after"]}

    def faults(method: str, path: str) -> str | None:
        for where, left in cuts.items():
            if where in path and method in ("PUT", "POST") and left:
                return left.pop()
        return None

    hub.faults = faults
    said = await command.run(0, "push", job, "ann/keeper", "--yes")
    repo = hub.repos["ann/keeper"]
    assert repo.files == ALL
    assert len(repo.commits) == 2, "the commit whose answer was lost is not made twice"
    assert len(hub.objects) == 1
    assert "commit" in said or "nothing has changed" in said
    # And once more: there is nothing new.
    before = len(hub.puts())
    said = await command.run(0, "push", job, "ann/keeper", "--yes")
    assert f"{hub.url}/ann/keeper is up to date: there was nothing to publish." in said
    assert (len(hub.puts()), len(repo.commits)) == (before, 2)


async def test_the_next_push_skips_uploaded_files(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    second = b"GGUF" * 5000
    fake_backend.exports.files = ALL | {"model-2.gguf": second}
    hub.storage = "localhost"  # where files are put is another host, whose addresses run out
    place = f"/put/{hashlib.sha256(second).hexdigest()}"
    hub.faults = lambda _, path: 403 if path == place else None
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert "where" in said
    assert "localhost" in said
    assert "Signature" not in said
    assert len(hub.objects) == 1
    assert sorted(map(hub.puts().count, set(hub.puts()))) == [1, 6], "one arrived, the other was tried often"
    hub.faults = lambda *_: None
    before = len(hub.puts())
    await command.run(0, "push", job, "ann/keeper", "--yes")
    assert hub.repos["ann/keeper"].files == fake_backend.exports.files
    assert hub.puts()[before:] == [place]


async def test_an_export_that_differs_is_not_pushed(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    fake_backend.exports.proof = PROOF | {"verdict": "differs", "sentence": "Another\x1b[31m model."}
    said = await command.run(1, "push", job, "ann/keeper", "--yes")
    assert said == "Another model. Nothing was published. To publish anyway, add --force.\n"
    assert (hub.repos, fake_backend.exports.of(job)) == ({}, {})
    await command.run(0, "push", job, "ann/keeper", "--yes", "--force")
    assert hub.repos["ann/keeper"].files == ALL


async def test_an_existing_export_is_pushed_and_kept(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.files = {"model.gguf": b"GGUF", "README.md": CARD}
    made: dict[str, Any] = {"format": "gguf", "quantization": "q8_0", "state": "completed"}
    made |= {"proof": PROOF, "bytes": 4}
    others: list[dict[str, Any]] = [{"quantization": "q4_0"}, {"strength": 0.5}, {"step": 4}]
    others += [{"format": "ollama"}, {"state": "failed"}]
    for number, other in enumerate([{}, *others]):
        files = [{"name": "README.md", "bytes": 0, "sha256": ""}] if other else fake_files(fake_backend)
        fake_backend.exports.add(job, {"id": f"exp_{number}", "files": files, **made, **other})
    await command.run(0, "push", job, "ann/keeper", "--yes", "--format", "gguf")
    assert fake_backend.count(CREATED) == 0
    assert len(fake_backend.exports.of(job)) == 6
    assert hub.repos["ann/keeper"].files == fake_backend.exports.files


async def test_push_with_a_strength_orders_a_merged_export(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What then arrives is looked into by tests/local/server/test_push.py."""
    asked: list[str] = []
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    monkeypatch.setattr(run, "can_ask", lambda: True)

    def yes(question: str) -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr(builtins, "input", yes)
    refused = await command.run(2, "push", job, "ann/keeper", "--strength", "0.5")
    assert "An adapter is exported unchanged" in refused
    assert (hub.repos, asked) == ({}, [])
    # A whole one that is there already is another.
    whole = {"id": "exp_0", "format": "merged", "state": "completed", "proof": PROOF, "bytes": 4}
    fake_backend.exports.add(job, {**whole, "files": fake_files(fake_backend)})
    said = await command.run(0, "push", job, "ann/keeper", "--format", "merged", "--strength", "0.5")
    assert fake_backend.last(CREATED).json() == {"format": "merged", "strength": 0.5}
    assert "merged at strength 0.5" in said
    assert "merged at strength 0.5" in asked[0]
    assert hub.repos["ann/keeper"].files == ALL


def fake_files(fake_backend: FakeBackend) -> list[dict[str, Any]]:
    """What the fake backend tells of the files that its exports hold."""
    return [
        {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        for name, body in fake_backend.exports.files.items()
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "README.md",
            "# Mine\n\nIt lies in /home/ann/models/x.\n",
            "README.md contains a path of this machine in line 3",
        ),
        (
            "config.json",
            '{"_name_or_path": "{project}"}',
            "config.json contains a path of this machine in line 1",
        ),
        ("provenance.json", '{"x": "{token}"}', "provenance.json contains a token in line 1"),
        (
            "model.gguf",
            "GGUF\0name\0{project}/tiny\0",
            "model.gguf contains a path of this machine, or a token",
        ),
        ("tokenizer.json", '{"x": "{token}"}', "tokenizer.json contains a path of this machine, or a token"),
    ],
)
async def test_files_with_local_paths_or_tokens_are_not_pushed(
    command: Command,
    fake_backend: FakeBackend,
    hub: FakeHub,
    job: str,
    settings: Settings,
    name: str,
    text: str,
    said: str,
) -> None:
    filled = text.replace("{project}", str(settings.project)).replace("{token}", TOKEN)
    fake_backend.exports.files = ALL | {name: filled.encode()}
    told = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert said in told
    assert "Nothing was published" in told
    assert not {TOKEN, str(settings.project), "/home/ann"} & set(told.split())
    assert hub.repos == {}


async def test_an_export_is_pushed_with_its_subfolders(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    fake_backend.exports.files = ALL | {"1_Pooling/config.json": b"{}"}
    await command.run(0, "push", job, "ann/keeper", "--yes", "--format", "merged")
    assert hub.repos["ann/keeper"].files == fake_backend.exports.files


async def test_path_like_tokens_of_a_vocabulary_are_pushed(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    fake_backend.exports.files = ALL | {"tokenizer.json": b'{"/usr/local/bin": 7, "C:\\\\Windows\\\\x": 8}'}
    await command.run(0, "push", job, "ann/keeper", "--yes")
    assert hub.repos["ann/keeper"].files == fake_backend.exports.files


async def test_weights_of_two_formats_are_not_mixed(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str
) -> None:
    await command.run(0, "push", job, "ann/keeper", "--yes")
    hub.repos["ann/keeper"].files["notes.txt"] = b"mine"
    fake_backend.exports.files = {"model.safetensors": b"m" * 99, "config.json": b"{}", "README.md": CARD}
    how = ("push", job, "ann/keeper", "--yes", "--format", "merged")
    said = await command.run(2, *how)
    assert "which would be loaded as well: adapter_config.json, adapter_model.safetensors" in said
    assert hub.repos["ann/keeper"].files == ALL | {"notes.txt": b"mine"}
    told = json.loads(await command.run(0, *how, "--replace", "--json"))
    assert told["repository"]["removed"] == ["adapter_config.json", "adapter_model.safetensors"]
    rest = {"notes.txt": b"mine", "provenance.json": b"{}"}
    assert hub.repos["ann/keeper"].files == fake_backend.exports.files | rest
    # GGUF files lie beside others.
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.files = {"model.gguf": b"GGUF"}
    await command.run(0, "push", job, "ann/keeper", "--yes", "--format", "gguf")
    assert {"model.gguf", "model.safetensors"} <= set(hub.repos["ann/keeper"].files)


async def test_interrupting_push_ends_the_upload(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    async def watched(*argv: Any, **how: Any) -> Any:
        process = await TRUE_START(*argv, **how)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stuck(_method: str, _path: str) -> None:
        loop.call_soon_threadsafe(reached.set)
        over.wait(20)

    over = threading.Event()
    hub.faults = stuck
    asking = asyncio.create_task(hub_side.run_uploader({"do": "look", "repo": "ann/x"}, lambda _: None))
    await asyncio.wait_for(reached.wait(), 60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    over.set()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
