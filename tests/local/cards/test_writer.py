"""A card and a provenance beside a real adapter, made again by an evaluation, and how both are loaded."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.compare import compare
from arkor_dev.contract.provenance.statement import CARD, FILE, internal, read_statement
from arkor_dev.data.findings.privacy import PrivateError
from arkor_dev.local.cards.sample_file import sample_observer
from arkor_dev.local.cards.user_text import END, FRONT_END
from arkor_dev.local.cards.writer import CardWriter, describe_lora, describe_merged, rewrite_card
from arkor_dev.local.evaluation import results
from arkor_dev.local.exports.formats import FORMATS
from arkor_dev.local.jobs.atomic_folder import damage
from arkor_dev.local.jobs.job_folder import checkpoint_folder, checkpoint_steps, final_folder, job_folder
from arkor_dev.local.training.run_events import RunEvents
from tests.local.conftest import CONFIG
from tests.local.forked import answer
from tests.local.harness import FORKS, until
from tests.local.tiny_model import PHRASE
from tests.local.tiny_run import events_of, set_up
from tests.support.fake_evaluation import EVALUATION
from tests.support.statements import write_folder

if TYPE_CHECKING:
    from arkor_dev.local.training.run import TrainingLoop
    from tests.local.conftest import Trained


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A job with a final folder as it is right after the training."""
    write_folder(final_folder(tmp_path, "job"))
    return tmp_path


def card_in(data: Path) -> str:
    return (final_folder(data, "job") / CARD).read_text()


def test_rewriting_a_card_adds_the_verdict_and_keeps_user_text(data: Path) -> None:
    rewrite_card(data, "job")
    assert "It has not been compared" in card_in(data).replace("it has", "It has")
    card = final_folder(data, "job") / CARD
    card.write_text(card_in(data).replace(FRONT_END, f"{FRONT_END}\nthumbnail: x") + "\nMy own words.\n")
    results.write(results.result_file(job_folder(data, "job"), None), {"evaluation": EVALUATION, "rows": []})
    emit = RunEvents(lambda _: None, sample_observer(job_folder(data, "job")))
    emit({"type": "sample.created", "step": 30, "number": 1, "prompt": "Where?", "answer": "There."})
    emit(
        {
            "type": "sample.created",
            "step": 30,
            "number": 2,
            "prompt": "Half?",
            "answer": r"It is \frac{1}{2} of it.",
        }
    )
    rewrite_card(data, "job")
    assert EVALUATION["sentence"] in card_in(data)
    assert "> There." in card_in(data)
    assert r"\\frac{1}{2}" in card_in(data), "an escaped backslash is not a path of Windows"
    assert "\nthumbnail: x\n" in card_in(data)
    assert card_in(data).endswith(f"{END}\n\nMy own words.\n")
    assert sorted(path.name for path in job_folder(data, "job").iterdir()) == ["evaluation", "final"]


def test_a_merged_models_card_names_the_adapter(data: Path, tmp_path: Path) -> None:
    source, folder = final_folder(data, "job"), tmp_path / "merged"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"merged")
    results.write(results.result_file(job_folder(data, "job"), None), {"evaluation": EVALUATION, "rows": []})
    describe_merged(source, folder)
    made = read_statement(folder)
    assert compare(folder, made) == [("model.safetensors", "same")]
    names = {each["name"] for each in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert {"adapter/adapter_model.safetensors", "base/model.safetensors"} <= names
    card = (folder / CARD).read_text()
    assert "An adapter (LoRA), merged into [org/tiny]" in card
    assert 'library_name: "transformers"' in card
    assert EVALUATION["sentence"] in card
    assert "PeftModel" not in card
    (source / FILE).unlink()
    (folder / CARD).unlink()
    describe_merged(source, folder)
    assert not (folder / CARD).exists(), "an adapter of an earlier version has none"


def test_an_exports_card_names_strength_and_programs(data: Path, tmp_path: Path) -> None:
    source = final_folder(data, "job")
    results.write(results.result_file(job_folder(data, "job"), None), {"evaluation": EVALUATION, "rows": []})
    rewrite_card(data, "job")
    (source / CARD).write_text((source / CARD).read_text() + "\nMy own words.\n")
    cards = {}
    for name, describe, strength, form in (
        ("model", describe_merged, 1.0, "gguf"),
        ("half", describe_merged, 0.5, "ollama"),
        ("adapter", describe_lora, 0.5, "gguf-lora"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / ("adapter.gguf" if name == "adapter" else "model.gguf")).write_bytes(b"GGUF")
        describe(source, folder, strength, FORMATS[form].usage["writer"].folder)
        assert [each.state for each in compare(folder, read_statement(folder))] == ["same"]
        cards[name] = (folder / CARD).read_text()
        assert 'library_name: "gguf"' in cards[name]
        assert "from_pretrained" not in cards[name]
        assert EVALUATION["sentence"] in cards[name]
        assert ("at 50 % of its strength" in cards[name]) == (strength != 1)
        assert ("at the adapter's full strength; this model's strength differs" in cards[name]) == (
            strength != 1
        )
        assert ("model-index" in cards[name]) == (strength == 1), "figures of another model are none of this"
    assert "llama.cpp:\n\n```sh\nllama-cli -m model.gguf\n```" in cards["model"]
    assert '```python\nllama_cpp.Llama(model_path="model.gguf")\n```' in cards["model"]
    assert "ollama create my-model -f Modelfile\n" in cards["half"]
    assert "llama-cli -m base.gguf --lora adapter.gguf\n" in cards["adapter"]
    assert not any(word in str(cards) for word in ("FOLDER/", "BASE", "NAME")), "no placeholder is left"
    assert "ADAPTER" not in cards["adapter"], "Ollama refuses it since its version 0.34.1"
    assert "llama-export-lora -m base.gguf --lora adapter.gguf -o model.gguf\n" in cards["adapter"]
    assert "An adapter (LoRA) for [org/tiny]" in cards["adapter"]
    assert cards["adapter"].endswith("My own words.\n")


@pytest.mark.parametrize("trouble", ["none", "broken", "link", "binary", "folder"])
def test_an_unreadable_card_is_left_unchanged(data: Path, tmp_path: Path, trouble: str) -> None:
    folder = final_folder(data, "job")
    match trouble:
        case "none":
            (folder / FILE).unlink()
        case "broken":
            (folder / FILE).write_text("{")
        case "link":
            (tmp_path / "mine").write_text("mine")
            (folder / CARD).symlink_to(tmp_path / "mine")
        case "binary":
            (folder / CARD).write_bytes(b"\xff\xfe")
        case _:
            (folder / CARD).mkdir()
    before = sorted(folder.iterdir())
    rewrite_card(data, "job")
    assert sorted(folder.iterdir()) == before
    if trouble == "link":
        assert (tmp_path / "mine").read_text() == "mine"
    if trouble == "binary":
        assert (folder / CARD).read_bytes() == b"\xff\xfe"


def private_words(answered: Trained) -> list[str]:
    """What of this machine a card may not tell."""
    names = [name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4]  # no syllables
    return [str(answered.data), str(Path.home()), "chats.jsonl", "/tmp/", *names]


def prepared(run: TrainingLoop, data: Path, tiny: Path, project: Path, **config: Any) -> Any:
    """As much of a preparation as a provenance is made of."""
    return SimpleNamespace(
        config={"model": "./tiny", "datasetSource": {"type": "file", "path": "rows.jsonl"}, **config},
        data=data, project=project, path=tiny, job_id=run.job_id,
        continuation=SimpleNamespace(options={}),
        more_models={},
    )  # fmt: skip


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_extending_a_job_keeps_user_text(tiny: Path, tmp_path: Path) -> None:
    for step in (2, 3):
        run = set_up(tiny, tmp_path, {"maxSteps": step}, job_id="job")
        run.saving.describe_files = CardWriter(prepared(run, tmp_path, tiny, tmp_path), run)
        run.run()
        card = final_folder(tmp_path, "job") / CARD
        assert f"after step {step} of {step}" in card.read_text()
        if step == 2:
            card.write_text(card.read_text() + "\nMy words.\n")
    assert card.read_text().endswith(f"{END}\n\nMy words.\n")


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("fault", [PrivateError("a path of this machine"), ValueError("odd"), None])
def test_a_failed_card_does_not_lose_the_adapter(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    run = set_up(tiny, tmp_path, {"maxSteps": 1}, job_id="job")
    run.saving.describe_files = CardWriter(prepared(run, tmp_path, tiny, tmp_path), run)

    def card(*_: Any) -> str:
        if fault is None:
            return f"license: x\n\nIt lies in {tmp_path}/final"
        raise fault

    monkeypatch.setattr("arkor_dev.local.cards.writer.card_of", card)
    assert run.run().status == "completed"
    folder = final_folder(tmp_path, "job")
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    ]
    (said,) = [
        fields["message"] for name, fields in events_of(run).calls
        if name == "training.message" and "card" in fields["message"]
    ]  # fmt: skip
    assert said.startswith("No card was written beside the final of step 1: ")
    assert str(tmp_path) not in said


def last_answers(answered: Trained) -> list[dict[str, Any]]:
    """The samples of the end: four whole ones, unless the run says that they took it too long."""
    rows = [frame.json for frame in answered.events if frame.event == "sample.created"]
    found = [row for row in rows if row["step"] == 30]
    messages = [frame.json["message"] for frame in answered.events if frame.event == "training.message"]
    if not any("so that all answers take" in message for message in messages):
        assert len(found) == 3
        assert not any("truncated" in row for row in found)
    return found


@pytest.mark.engine
def test_a_trained_job_has_valid_card_and_provenance(answered: Trained) -> None:
    folder = final_folder(answered.data, answered.job)
    made = read_statement(folder)
    assert {each.state for each in compare(folder, made)} == {"same"}
    assert damage(folder) is None
    names = {each["name"] for each in made["subject"]}
    assert names == {"adapter_model.safetensors", "adapter_config.json"}
    told = internal(made)
    assert (told["artifact"], told["step"], told["rows"]) == ("final", 30, {"train": 54, "heldOut": 6})
    needed = {each["name"] for each in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert {"data/1", "rows", "base/model.safetensors", "base/tokenizer.json"} <= needed
    for text in ((folder / FILE).read_text(), (folder / CARD).read_text()):
        assert [word for word in private_words(answered) if word in text] == []
    assert "parrot" not in (folder / FILE).read_text(), "what the job is called"
    said = (folder / CARD).read_text().partition("## Sample answers\n")[2].partition("\n## ")[0]
    answers = last_answers(answered)
    assert all(PHRASE.startswith(each["answer"].strip()) for each in answers), answers
    assert said.count("this:\n\n> ") == len(answers), "its own answers to four of the held-out rows"
    assert said.count(f"this:\n\n> {PHRASE}") == sum("truncated" not in each for each in answers)
    assert said.count(f"base:\n\n> {PHRASE}") == 0
    *_, event = [frame for frame in answered.events if frame.event == "evaluation.completed"]
    assert event.json["evaluation"]["sentence"] in (folder / CARD).read_text().replace("\\", "")
    size = sum(path.stat().st_size for path in folder.iterdir())
    (artifact,) = answered.events[-2].json["artifacts"]
    assert abs(artifact["bytes"] - size) < 5000, "but for what the card says of the verdict"


@pytest.mark.engine
def test_each_checkpoint_has_card_and_provenance(answered: Trained) -> None:
    steps = checkpoint_steps(answered.data, answered.job)
    assert steps
    for step in steps:
        folder = checkpoint_folder(answered.data, answered.job, step)
        made = read_statement(folder)
        assert {each.state for each in compare(folder, made)} == {"same"}
        assert (internal(made)["artifact"], internal(made)["step"]) == ("checkpoint", step)
        assert f"after step {step} of 30" in (folder / CARD).read_text()


@pytest.mark.engine
def test_the_hub_parses_the_card_of_a_trained_job(answered: Trained) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(final_folder(answered.data, answered.job) / CARD).data
    assert (data.library_name, data.base_model) == ("peft", None)
    assert len(data.eval_results) == 4


LOADED = """
import json, sys, warnings
import torch, peft
warnings.simplefilter("ignore")
{code}
ids = torch.tensor([[1, 5, 9, 20]])
with torch.no_grad():
    plain = AutoModelForCausalLM.from_pretrained(base)(ids).logits
    worn = model(ids).logits
print(json.dumps([len(tokenizer), float((plain - worn).abs().max())]))
"""


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_the_loading_code_of_the_card_works(
    answered: Trained, tiny: Path, tmp_path: Path, template: dict[str, str]
) -> None:
    folder = final_folder(answered.data, answered.job)
    code = re.search(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
    assert code
    text = code[1].replace("path/to/the/base", str(tiny)).replace("path/to/this/folder", str(folder))
    script = LOADED.replace("{code}", text)
    if template:  # what a new process would load first takes seconds
        found = answer(template[FORKS], "tests.support.run_input", os.environ, script.encode())
    else:
        found = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, cwd=tmp_path, timeout=240
        ).stdout
    tokens, change = json.loads(found.splitlines()[-1])
    assert tokens == 1024 or tokens > 100
    assert change > 0.1, "the adapter is worn"


@pytest.mark.engine
@pytest.mark.timeout(300)
def test_a_later_evaluation_keeps_user_text(answered: Trained) -> None:
    step = checkpoint_steps(answered.data, answered.job)[0]
    card = checkpoint_folder(answered.data, answered.job, step) / CARD
    card.write_text(card.read_text() + "\nI trained it for the harbour.\n")
    answer = answered.backend.call("POST", f"/v1/jobs/{answered.job}/evaluate", {"step": step})
    assert answer.status == 200
    until(lambda: "evaluating" not in answered.backend.job(answered.job), 240)
    assert card.read_text().endswith("\n\nI trained it for the harbour.\n")
    assert "held-out rows" in card.read_text()
    found: Any = answered.backend.call("GET", f"/v1/jobs/{answered.job}/card?step={step}").json["card"]
    assert found == card.read_text()


@pytest.mark.engine
def test_the_card_of_a_branch_names_its_parent(answered: Trained) -> None:
    config = {**CONFIG, "maxSteps": 2, "saveSteps": 0, "evalSteps": 0}
    body = {"name": "branch", "config": config, "parent": {"jobId": answered.job, "step": 20}}
    answer = answered.backend.call("POST", "/v1/jobs", body)
    job = answer.json["job"]["id"]
    answered.backend.wait_for(job, "training.completed")
    made = read_statement(final_folder(answered.data, job))
    parents = [
        each for each in made["predicate"]["buildDefinition"]["resolvedDependencies"]
        if each["name"].startswith("parent/")
    ]  # fmt: skip
    assert {each["name"] for each in parents} == {
        "parent/adapter_model.safetensors",
        "parent/adapter_config.json",
    }
    assert parents[0]["annotations"] == {"job": answered.job, "artifact": "checkpoint", "step": 20}
