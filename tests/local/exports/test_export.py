"""Exports of true trainings: read by other programs they are the same, and each planted fault is found."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.data.rows import Row
from arkor_dev.local.exports import files
from arkor_dev.local.exports.classifier import ClassifierExport
from arkor_dev.local.exports.export import ExportTask
from arkor_dev.local.jobs.atomic_folder import manifest_of
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import chats
from tests.local.tiny_run import set_up
from tests.local.training.methods import test_classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.local.exports.messages import Written


pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
ROWS = [Row(row["messages"], f"row {number}") for number, row in enumerate(chats(8), 1)]
CONFIG: dict[str, Any] = {"maxSteps": 12, "learningRate": 8e-3, "batchSize": 4, "evalSteps": 0}


def nothing(*_: Any) -> None:
    """Hears how far it has come."""


def trained(tiny: Path, data: Path, **config: Any) -> Path:
    """The folder of what a short training has made."""
    from arkor_dev.local.modeling.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(tiny)
    rows = [encode(tokenizer, row, Encoding(128))[0][0] for row in ROWS]
    run = set_up(tiny, data, {**CONFIG, **config}, train=rows)
    run.run()
    return data / "jobs" / run.job_id / "final"


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny, tmp_path_factory.mktemp("trained"))


def export(
    source: Path, tiny: Path, target: Path, form: str = "merged", kind: str = "adapter"
) -> ExportProof:
    return ExportTask(form, source, kind, tiny, "tiny", target, nothing).make(ROWS)


def test_files_are_written_before_the_proof(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    for form, first in (("adapter", True), ("merged", False)):
        heard: list[str] = []

        def progress(label: str, *_: Any, heard: list[str] = heard) -> None:
            heard.append(label)

        def written(told: Written, form: str = form, heard: list[str] = heard) -> None:
            heard.append("written")
            assert {each["name"] for each in told.files} <= {
                path.name for path in (tmp_path / form).iterdir()
            }

        target = tmp_path / form
        made = ExportTask(form, adapter, "adapter", tiny, "tiny", target, progress, written=written).make(
            ROWS
        )
        assert (heard.index("written") == 0) == first
        assert heard.index("written") < heard.index("Testing the exported files")
        assert made["verdict"] == "same"


@pytest.mark.usefixtures("all_questions")
def test_a_merged_model_equals_the_trained_one(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    proof = export(adapter, tiny, tmp_path / "out")
    assert (proof["texts"], proof["prompts"]) == (30, 16)  # two are longer than this model reads
    assert proof["verdict"] == "same", proof
    assert proof["divergence"] < 1e-6 < proof["divergenceOfBase"]
    assert proof["agreeingTokens"] == proof["answerTokens"] > 0
    assert proof["loss"]["trained"] < proof["loss"]["base"]
    # And by another way: one row's logits, by the libraries alone.
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(tiny)
    worn = PeftModel.from_pretrained(base, str(adapter)).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer.apply_chat_template(ROWS[0].messages, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, worn(ids).logits, atol=1e-4)
    assert model.dtype == torch.float32
    assert not {path.name for path in (tmp_path / "out").iterdir()} & {"state.pt", "adapter_config.json"}
    assert str(tiny) not in "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_existing_files_are_verified_only(tiny: Path, adapter: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / "out"
    first = export(adapter, tiny, target, form)
    times = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    told: list[Any] = []
    again = ExportTask(
        form, adapter, "adapter", tiny, "tiny", target, nothing, written=told.append, in_place=True
    )
    assert again.make(ROWS) == first
    assert told == []
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == times
    weights = next(target.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x7f\x7f\x7f\x7f")
    assert again.make(ROWS)["verdict"] == "differs"


def test_a_classifier_of_several_labels_is_exported(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "saved"
    test_classify.begun(tiny, tmp_path, test_classify.SEVERAL).save(source)
    rows = test_classify.rows_of(test_classify.SEVERAL)
    task = ClassifierExport("adapter", source, "adapter", tiny, "tiny", tmp_path / "out", nothing)
    proof = task.make(rows)
    assert (proof["verdict"], proof["texts"]) == ("same", len(rows)), proof["sentence"]
    assert proof["distance"] <= 1e-4 < proof["distanceOfBase"]


def test_an_adapter_is_copied_unchanged(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    made = export(adapter, tiny, tmp_path / "out", "adapter")
    assert made["verdict"] == "same", made["sentence"]
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (adapter / name).read_bytes()
    files = manifest_of(tmp_path / "out")["files"]
    assert files.keys() >= {
        "adapter_model.safetensors",
        "adapter_config.json",
    }


@pytest.mark.parametrize(
    "config",
    [
        {"useDora": True},
        {"initLoraWeights": "pissa"},
        {"useRslora": True, "modulesToSave": ["lm_head"]},
        {"modulesToSave": ["embed_tokens"]},
    ],
    ids=str,
)
def test_every_kind_of_adapter_can_be_merged(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    made = export(trained(tiny, tmp_path / "data", **config), tiny, tmp_path / "out")
    assert made["verdict"] == "same", made["sentence"]


def test_a_fully_trained_model_is_copied(tiny: Path, tmp_path: Path) -> None:
    source = trained(tiny, tmp_path / "data", fullFineTuning=True, learningRate=1e-3)
    made = export(source, tiny, tmp_path / "out", kind="model")
    assert made["verdict"] == "same", made["sentence"]
    assert not (tmp_path / "out" / "state.pt").exists()


def test_a_16_bit_base_merges_in_16_bit(tiny: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)
    model.save_pretrained(half)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(half)
    made = export(trained(half, tmp_path / "data"), half, tmp_path / "out")
    assert made["verdict"] == "same", made["sentence"]
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}


# --- planted faults --------------------------------------------------------------------------------------


def layers(model: Any) -> Iterator[Any]:
    """Every layer that an adapter is on."""
    yield from (module for module in model.modules() if hasattr(module, "lora_A"))


def not_applied(merge: Callable[[Any], Any], worn: Any) -> Any:
    del merge
    return worn.unload()


def half_as_strong(merge: Callable[[Any], Any], worn: Any) -> Any:
    for layer in layers(worn):
        layer.scale_layer(0.5)
    return merge(worn)


def one_layer_left_out(merge: Callable[[Any], Any], worn: Any) -> Any:
    next(layers(worn)).scale_layer(0.0)
    return merge(worn)


@pytest.mark.parametrize("fault", [not_applied, half_as_strong, one_layer_left_out])
def test_wrong_weights_are_detected(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., Any]
) -> None:
    right = files.merge
    monkeypatch.setattr("arkor_dev.local.exports.export.merge", lambda worn: fault(right, worn))
    proof = export(adapter, tiny, tmp_path / "out")
    assert proof["verdict"] == "differs", proof
    assert proof["sentence"].startswith("Not the trained model: ")


def changed_template(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<|im_end|>", "<|im_end|> "))


def no_end(folder: Path) -> None:
    path = folder / "generation_config.json"
    config = json.loads(path.read_text())
    config["eos_token_id"] = 0
    path.write_text(json.dumps(config))


def doubled_start(folder: Path) -> None:
    """The tokenizer sets a start token of its own accord, where the training's set none."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    start = {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|im_start|>": start},
    }
    path.write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    ("fault", "said"),
    [(changed_template, "chat template"), (no_end, "do not end"), (doubled_start, "1 start tokens")],
)
def test_wrong_files_beside_the_weights_are_detected(
    tiny: Path,
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Path], None],
    said: str,
) -> None:
    right = files.save_merged

    def wrong(*arguments: Any) -> None:
        right(*arguments)
        fault(arguments[-1])

    monkeypatch.setattr("arkor_dev.local.exports.export.save_merged", wrong)
    proof = export(adapter, tiny, tmp_path / "out")
    assert proof["verdict"] == "differs", proof
    assert said in " ".join(proof["faults"])


def test_a_corrupted_file_fails_the_proof(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = files.save_merged

    def not_a_number(*arguments: Any) -> None:
        right(*arguments)
        path = arguments[-1] / "model.safetensors"
        weights = load_file(path)
        weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("nan"))
        save_file(weights, path, metadata={"format": "pt"})

    monkeypatch.setattr("arkor_dev.local.exports.export.save_merged", not_a_number)
    proof = export(adapter, tiny, tmp_path / "out")
    assert proof["verdict"] == "differs"
    assert proof["sentence"].startswith("Not usable: some of its results are not numbers; loss nan on ")


def test_an_export_without_disk_space_is_refused(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(JobFailure, match=r"free\. To make room, run arkor-dev local gc"):
        export(adapter, tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_larger_than_memory_is_merged_tensor_by_tensor(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights as in memory, in the base's files, read again and proved in as little."""
    from arkor_dev.local.workers.machine import Memory

    adapter, base = trained(tiny, tmp_path / "data", loraTargetModules="all-linear"), tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(base, max_shard_size="1MB")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(base)
    assert len(list(base.glob("*.safetensors"))) > 1
    whole = export(adapter, base, tmp_path / "whole")
    monkeypatch.setattr(files, "memory", lambda: Memory(10**5, 10**5))
    monkeypatch.setattr("arkor_dev.local.exports.export.merge", None)  # it would hold the whole model
    streamed = export(adapter, base, tmp_path / "streamed")
    assert streamed["verdict"] == "same"
    assert streamed["loss"] == whole["loss"]
    one, other = (
        {
            name: tensor
            for path in (tmp_path / folder).glob("*.safetensors")
            for name, tensor in load_file(path).items()
        }
        for folder in ("whole", "streamed")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in ("config.json", "generation_config.json"):
        first, second = (
            json.loads((tmp_path / folder / name).read_text()) for folder in ("whole", "streamed")
        )
        assert first == second


def test_trained_embeddings_cannot_be_merged_by_tensor(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.workers.machine import Memory

    adapter = trained(tiny, tmp_path / "data", loraModulesToSave=["embed_tokens"])
    monkeypatch.setattr(files, "memory", lambda: Memory(10**5, 10**5))
    with pytest.raises(JobFailure, match="changes more than its layers' weights"):
        export(adapter, tiny, tmp_path / "streamed")
