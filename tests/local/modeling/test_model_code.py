"""What a model's folder may bring: weights that are data alone, and no code of its own."""

from __future__ import annotations

import ast
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import arkor_dev.local
from arkor_dev.local.models.catalog import load_problem
from arkor_dev.local.workers.errors import JobFailure
from tests.local.conftest import CONFIG
from tests.local.harness import Backend, frames_of
from tests.local.inference.test_stuck_worker import ENDLESS

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("forked_workers")]

EVIL = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
class Config(PretrainedConfig):
    model_type = "evil"
class Model(PreTrainedModel):
    config_class = Config
class Tokenizer(PreTrainedTokenizerFast):
    pass
"""


def edit(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.fixture
def folder(tiny: Path, shared_project: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the tiny model in the shared project."""
    folder = shared_project / "models" / f"copy{abs(hash(request.node.name))}"
    shutil.copytree(tiny, folder)
    return folder


def refused(backend: Backend, folder: Path) -> str:
    """Why a chat with the model and a job on it fail: the same reason."""
    name = f"./models/{folder.name}"
    body = {"messages": [{"role": "user", "content": "Hi"}], "baseModel": name}
    with backend.open("POST", "/v1/inference/chat", body) as answer:
        if answer.status != 200:
            reason = json.loads(answer.read())["error"]
        else:
            (reason,) = [frame.json["error"] for frame in frames_of(answer) if frame.event == "error"]
    job = backend.submit({**CONFIG, "model": name})
    error: str = backend.wait_for(job, "training.failed").json["error"]
    assert error == reason
    return error


@pytest.mark.parametrize("place", ["config.json", "tokenizer_config.json"])
def test_a_model_with_custom_code_is_refused(
    shared: Backend, folder: Path, tmp_path: Path, place: str
) -> None:
    mark = tmp_path / "it ran"
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark)))
    if place == "config.json":
        auto = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
        edit(folder / place, auto_map=auto, model_type="evil", architectures=["Model"])
    else:
        edit(
            folder / place, auto_map={"AutoTokenizer": [None, "evil.Tokenizer"]}, tokenizer_class="Tokenizer"
        )
    error = refused(shared, folder)
    assert "needs custom code" in error
    assert place in error
    assert "trust_remote_code" not in error
    assert not mark.exists()


def test_a_known_architecture_ignores_its_custom_code(shared: Backend, folder: Path, tmp_path: Path) -> None:
    """Many models of the hub still name the code they had before they came into the library."""
    mark = tmp_path / "it ran"
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark)))
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    assert shared.say("Hi", baseModel=f"./models/{folder.name}")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickled_weights_are_refused(shared: Backend, folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    # A pickle that touches a file when it is loaded.
    mark = tmp_path / "it ran"
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    error = refused(shared, folder)
    assert name in error
    assert "convert them to safetensors" in error
    assert "safetensors" in error
    assert "weights_only" not in error
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_fifo_in_a_model_folder_is_refused(shared: Backend, folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert f"{name} is not a regular file" in refused(shared, folder)


def test_an_endless_template_fails_the_job(shared: Backend, folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(ENDLESS)
    job = shared.submit({**CONFIG, "model": f"./models/{folder.name}"})
    error = shared.wait_for(job, "training.failed").json["error"]
    assert "chat template" in error
    assert "writes more than" in error


def test_an_adapter_of_pickled_weights_is_refused(tiny: Path, tmp_path: Path) -> None:
    from arkor_dev.local.inference.transformers_engine import refuse_pickled_adapter

    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(JobFailure, match="safetensors"):
        refuse_pickled_adapter(tmp_path)


def test_every_model_load_disables_remote_code() -> None:
    found = []
    for path in Path(arkor_dev.local.__file__).parent.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "from_pretrained" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".from_pretrained"):
                if ast.unparse(node.func) == "PeftModel.from_pretrained":
                    continue  # an adapter: it has no code, and no such argument
                found.append(path.name)
                said = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert said.get("trust_remote_code") == "False", (path.name, node.lineno)
    assert {"base_model.py", "tokenizer.py"} <= set(found)


def test_a_model_folder_without_config_is_named(tmp_path: Path) -> None:
    assert load_problem(tmp_path) == "it has no config.json"
