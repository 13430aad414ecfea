"""What a true training has made, published on a hub of the test's own, and taken from there again."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.cli.commands.push import hub as hub_side
from arkor_dev.contract.provenance.compare import compare
from arkor_dev.contract.provenance.statement import internal, read_statement
from arkor_dev.local.jobs.job_folder import final_folder
from tests.local.tiny_model import QUESTIONS
from tests.support.daemon import environment
from tests.support.fake_hub import TOKEN, fake_hub

from .test_exports import ask, done

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.cli.commands.push.messages import PushOrder, UploadProgress
    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.mark.parametrize("form", ["adapter", "merged"])
async def test_pushed_files_are_complete_and_private(
    trained: Trained, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    made = done(trained, ask(trained, format=form))
    assert made["state"] == "completed", made
    folder = trained.data / "jobs" / trained.job / "exports" / made["id"]
    names = sorted(each["name"] for each in made["files"])
    told: list[UploadProgress] = []
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        order: PushOrder = {
            "do": "push", "repo": "ann/keeper", "private": True, "folder": str(folder), "files": names,
            "remove": [], "places": [str(trained.data)], "message": "keeper", "pause": 0.1,
        }  # fmt: skip
        answer = await hub_side.run_uploader(order, told.append)
        repo = hub.repos["ann/keeper"]
    assert (answer["private"], answer["commit"], repo.private) == (True, repo.commits[-1], True)
    assert repo.files == {name: (folder / name).read_bytes() for name in names}
    there = tmp_path / "there"
    there.mkdir()
    for name, body in repo.files.items():
        (there / name).write_bytes(body)
    # The card is one for the Hub, and nothing says where it was made, or by whom.
    card = ModelCard.load(there / "README.md")
    assert card.data.library_name == ("peft" if form == "adapter" else "transformers")
    assert card.data.base_model is None, (
        "the tests' base is a folder of this machine, and no model of the Hub"
    )
    assert card.data.eval_results
    user = getpass.getuser()
    private = {str(trained.data), socket.gethostname(), os.environ.get("HOME", "/root"), str(tmp_path)}
    private |= set() if user == "root" else {user}
    everything = b"\n".join(repo.files[name] for name in names if not name.endswith(".safetensors"))
    assert not [word for word in private if word.encode() in everything]
    assert {each.state for each in compare(there, read_statement(there))} == {"same"}
    if form == "merged":
        model = AutoModelForCausalLM.from_pretrained(there)
        assert AutoTokenizer.from_pretrained(there).chat_template
    else:
        base = AutoModelForCausalLM.from_pretrained(tiny)
        model = PeftModel.from_pretrained(base, str(there))
    assert model.num_parameters() > 0
    trained.backend.call("DELETE", f"/v1/jobs/{trained.job}/exports/{made['id']}")


def worn(base: Path, adapter: Path, strength: float) -> Any:
    """The base with the adapter by PEFT, whose second factor is multiplied: the dial has no part in it."""
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(strength)
    return model


def logits(model: Any, tokenizer: Any) -> Any:
    """What the model holds for likely behind each token of a question."""
    with torch.no_grad():
        return model(**tokenizer(QUESTIONS[0], return_tensors="pt")).logits


def test_a_pushed_model_has_the_requested_strength(
    trained: Trained, tiny: Path, shared_project: Path, tmp_path: Path
) -> None:
    """The command itself, with all that it says; what has arrived is read by PEFT and transformers."""
    home, there = tmp_path / "home", tmp_path / "there"
    trained.backend.leave_word(shared_project.resolve(), home)
    here = {name: value for name, value in environment(home).items() if not name.startswith("HF_")}
    what = ["--format", "merged", "--strength", "0.5", "--checkpoint", "final"]
    with fake_hub() as hub:
        done = subprocess.run(
            [sys.executable, "-m", "arkor_dev", "push", trained.job, "ann/half", *what,
             "--private", "--yes", "--local", "--project", str(shared_project)],
            env={**here, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf")},
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "merged at strength 0.5" in done.stdout
    assert trained.backend.call("GET", f"/v1/jobs/{trained.job}/exports").json["exports"] == []
    there.mkdir()
    for name, body in hub.repos["ann/half"].files.items():
        (there / name).write_bytes(body)
    source = final_folder(trained.data, trained.job)
    pushed, tokenizer = AutoModelForCausalLM.from_pretrained(there), AutoTokenizer.from_pretrained(there)
    none, half, whole = (logits(worn(tiny, source, each), tokenizer) for each in (0, 0.5, 1))
    torch.testing.assert_close(logits(pushed.eval(), tokenizer), half, atol=1e-3, rtol=0)
    for other in (none, whole):
        assert (half - other).abs().max() > 0.5, "the adapter has to matter"
    full = worn(tiny, source, 1).merge_and_unload().state_dict()
    of_base, changed = AutoModelForCausalLM.from_pretrained(tiny).state_dict(), []
    for name, weight in pushed.state_dict().items():
        torch.testing.assert_close(weight, (of_base[name] + full[name]) / 2, atol=1e-5, rtol=0)
        changed += [] if torch.equal(weight, of_base[name]) else [name]
    assert any("q_proj" in name for name in changed), changed
    assert not [name for name in changed if "proj" not in name]
    # The card says so, and that its figures are of the whole adapter: none stand in what the Hub reads.
    card = ModelCard.load(there / "README.md")
    assert "merged into" in card.text
    assert ", at 50 % of its strength" in card.text
    assert "at the adapter's full strength; this model's strength differs." in card.text
    assert card.data.eval_results is None
    assert internal(read_statement(there))["strength"] == 0.5
    assert {each.state for each in compare(there, read_statement(there))} == {"same"}
