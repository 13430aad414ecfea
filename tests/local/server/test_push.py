"""What a true training has made, published on a hub of the test's own, and taken from there again."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.cli.commands.push import hub as hub_side
from arkor_dev.contract.provenance.compare import compare
from arkor_dev.contract.provenance.statement import read_statement
from tests.support.fake_hub import TOKEN, fake_hub

from .test_exports import ask, done

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.mark.parametrize("form", ["adapter", "merged"])
async def test_what_leaves_is_whole_and_tells_nothing_of_here(
    trained: Trained, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    made = done(trained, ask(trained, format=form))
    assert made["state"] == "completed", made
    folder = trained.data / "jobs" / trained.job / "exports" / made["id"]
    names = sorted(each["name"] for each in made["files"])
    told: list[dict[str, object]] = []
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        order = {"do": "push", "repo": "ann/keeper", "private": True, "folder": str(folder), "files": names}
        more = {"remove": [], "places": [str(trained.data)], "message": "keeper", "pause": 0.1}
        answer = await hub_side.asked(order | more, told.append)
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
