"""Classification: transformers' loss and files, the same bits after a pause, rows that cannot be learned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import AutoModelForSequenceClassification

from arkor_dev.data.labels import LABELED
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.datasets.tokens import tokenize_row
from arkor_dev.local.modeling.classes import Classes, read_temperature, write_temperature
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.objective import rectangle
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import QUESTIONS
from tests.local.tiny_run import events_of, losses_of, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.methods.classify.loss import ClassifierLoss
    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

ROWS = [
    {
        "text": f"{asked} {'Please hurry.' * (place % 3)}",
        "label": ("calm", "hurried", "very hurried")[place % 3],
    }
    for place, asked in enumerate(QUESTIONS[:12])
]
HEAD_WEIGHT = "base_model.model.score.weight"
CONFIG: dict[str, Any] = {
    "method": "classify", "maxSteps": 6, "learningRate": 1e-2, "batchSize": 4, "loggingSteps": 1,
}  # fmt: skip


def rows_of(records: Sequence[dict[str, Any]]) -> list[Row]:
    return [row_of(record, f"row {at}", None, {}, forms=LABELED) for at, record in enumerate(records, 1)]


def examples(tiny: Path, records: Sequence[dict[str, Any]], classes: Classes) -> list[Example]:
    encoding = Encoding(512, classes=classes)
    return method("classify").encode_all(load_tokenizer(tiny), rows_of(records), encoding, lambda _: None)[0]


def run_of(tiny: Path, folder: Path, records: Sequence[dict[str, Any]] = ROWS, **config: Any) -> TrainingLoop:
    settings = EffectiveSettings({**CONFIG, **config})
    classes = method("classify").classes(rows_of(records), (), settings)
    assert classes
    if "classWeight" in config:
        config["classWeight"] = settings.get("classWeight")  # with a weight of every label
    facts: dict[str, Any] = {"resume_plan": config.pop("resume_plan", None), "classes": classes}
    facts |= {"train": examples(tiny, records, classes), "method": method("classify"), "job_id": "job"}
    return set_up(tiny, folder, {**CONFIG, **config}, **facts)


def begun(tiny: Path, folder: Path, records: Sequence[dict[str, Any]] = ROWS, **config: Any) -> Any:
    """A run that has not taken a step, whose adapter computes something other than its base."""
    run = run_of(tiny, folder, records, **config)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    return run


def in_transformers(tiny: Path, folder: Path, classes: int) -> Any:
    """The saved adapter as transformers and PEFT load it, unchanged."""
    base = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=classes, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(folder), is_trainable=True).eval()
    # Else it takes the end token, which may be part of a text, for padding.
    model.config.pad_token_id = load_tokenizer(tiny).pad_token_id
    return model


def logits_in_transformers(model: Any, rows: Sequence[Example]) -> Any:
    """Its logits on the texts alone, one by one: the last token is the classes' place, not the text's."""
    return torch.cat([model(input_ids=torch.tensor([row.ids[:-1]])).logits for row in rows])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradients_equal_those_of_transformers(tiny: Path, tmp_path: Path, smoothing: float) -> None:
    run = begun(tiny, tmp_path, labelSmoothingFactor=smoothing)
    run.save(saved := tmp_path / "saved")
    model = in_transformers(tiny, saved, 3)
    targets = torch.tensor([row.labels[-1] for row in run.train])
    theirs = cross_entropy(logits_in_transformers(model, run.train), targets, label_smoothing=smoothing)
    if not smoothing:
        ids, mask, _ = rectangle(run.train[:1])
        one = model(input_ids=ids[:, :-1], attention_mask=mask[:, :-1], labels=targets[:1]).loss
        assert float(one) == pytest.approx(run.loss.row_losses(run.train[:1])[0][0], abs=1e-5)
    theirs.backward()
    summed, count = run.loss(run.train)
    ours = summed / count
    ours.backward()
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    expected = {
        name.replace(".default", "").replace(".modules_to_save", ""): weight.grad
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    found = {
        name.replace(".default", "").replace(".modules_to_save", ""): weight.grad
        for name, weight in run.model.named_parameters()
        if weight.requires_grad
    }
    assert found.keys() == expected.keys()
    assert HEAD_WEIGHT in found
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4, msg=name)


def test_the_saved_adapter_has_pefts_layout(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path)
    assert run.run().status == "completed"
    final = tmp_path / "jobs" / "job" / "final"
    model = in_transformers(tiny, final, 3)
    config = json.loads((final / "adapter_config.json").read_text())
    assert (config["task_type"], config["modules_to_save"]) == ("SEQ_CLS", ["score"])
    assert load_file(final / "adapter_model.safetensors")[HEAD_WEIGHT].shape == (3, 128)
    with torch.no_grad():
        theirs = logits_in_transformers(model, run.train)
    loss: ClassifierLoss = run.loss  # type: ignore[assignment]
    torch.testing.assert_close(
        torch.tensor(loss.log_probabilities(run.train)), theirs.log_softmax(-1), atol=1e-4, rtol=0
    )
    assert Classes.read(final) == Classes(("calm", "hurried", "very hurried"), (4, 4, 4))


def test_balanced_weights_are_those_of_scikit_learn(tiny: Path, tmp_path: Path) -> None:
    records = [{"text": text, "label": "b" if at < 2 else "a"} for at, text in enumerate(QUESTIONS[:8])]
    run = begun(tiny, tmp_path, records, classWeight="balanced")
    logits, targets = run.loss.class_logits(run.train)
    # rows / (classes * rows of the class), as class_weight="balanced" there
    weights = torch.tensor([8 / (2 * 6), 8 / (2 * 2)])
    expected = (weights[targets] * cross_entropy(logits, targets, reduction="none")).sum()
    assert float(run.loss(run.train)[0].detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
    plain = cross_entropy(logits, targets, reduction="none").tolist()
    assert [loss for loss, _ in run.loss.row_losses(run.train)] == pytest.approx(plain, abs=1e-5)


SEVERAL = [
    {"text": f"{asked} {'Please hurry.' * (place % 2)} {'Thanks.' * (place % 3 == 0)}",
     "label": ["hurried"] * (place % 2) + ["polite"] * (place % 3 == 0)}
    for place, asked in enumerate(QUESTIONS[:12])
]  # fmt: skip


def test_weights_by_label_are_those_of_torchs_cross_entropy(tiny: Path, tmp_path: Path) -> None:
    run = begun(tiny, tmp_path, classWeight=["very hurried=5", "calm = 0.5"])
    logits, targets = run.loss.class_logits(run.train)
    # By row: the sum of all is so large that float32 itself is further off.
    expected = cross_entropy(logits, targets, torch.tensor([0.5, 1, 5]), reduction="none").tolist()
    found = [float(run.loss([row])[0].detach()) for row in run.train]
    assert found == pytest.approx(expected, abs=1e-5)


def test_weights_of_several_labels_are_torchs_pos_weight(tiny: Path, tmp_path: Path) -> None:
    run = begun(tiny, tmp_path, SEVERAL, classWeight="polite=3")
    logits, wanted = run.loss.class_logits(run.train)
    losses = binary_cross_entropy_with_logits(
        logits, wanted, pos_weight=torch.tensor([1.0, 3.0]), reduction="none"
    )
    expected = float(losses.mean(1).sum().detach())
    assert float(run.loss(run.train)[0].detach()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("urgent", '"urgent" is not a label with a weight above 0, 1,000,000 at most, such as "urgent=5"'),
        (["calm=-1"], '"calm=-1" is not a label with a weight'),
        (["calm=nan"], '"calm=nan" is not a label with a weight'),
        (["calm=2", "calm=3"], 'has the label "calm" twice: remove one of the two'),
        (["calm=0"], '"calm=0" is not a label with a weight above 0'),
        (["Calm=2"], 'has the label "Calm", and no row has it: write it as in the data ("calm", "hurried"'),
    ],
)
def test_unusable_weights_are_refused_in_a_sentence(weights: str | list[str], words: str) -> None:
    settings, kind = EffectiveSettings({**CONFIG, "classWeight": weights}), method("classify")

    def prepare() -> None:
        kind.check(settings)
        kind.classes(rows_of(ROWS), (), settings)

    with pytest.raises(JobFailure) as refused:
        prepare()
    assert words in str(refused.value)


def test_labels_with_spaces_around_them_and_with_equals_signs_have_weights() -> None:
    labels = [" urgent ", "a=b", "calm"]
    rows = rows_of([{"text": label * 2, "label": label} for label in labels])
    settings = EffectiveSettings({**CONFIG, "classWeight": [" urgent =5", "a=b=0.5"]})
    method("classify").check(settings)
    method("classify").classes(rows, (), settings)
    assert settings.get("classWeight") == [" urgent =5", "a=b=0.5", "calm=1"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_several_labels_equals_that_of_transformers(
    tiny: Path, tmp_path: Path, smoothing: float
) -> None:
    run = begun(tiny, tmp_path, SEVERAL, labelSmoothingFactor=smoothing)
    assert run.classes.multiple
    run.save(saved := tmp_path / "saved")
    model = in_transformers(tiny, saved, 2)
    model.config.problem_type = model.base_model.model.config.problem_type = "multi_label_classification"
    wanted = torch.tensor([[float(n in (row.classes or ())) for n in range(2)] for row in run.train])
    if smoothing:
        logits = logits_in_transformers(model, run.train)
        theirs = binary_cross_entropy_with_logits(logits, wanted * 0.9 + 0.05)
    else:  # transformers' own
        losses = [
            model(input_ids=torch.tensor([row.ids[:-1]]), labels=wanted[at : at + 1]).loss
            for at, row in enumerate(run.train)
        ]
        theirs = torch.stack(losses).mean()
        ours = [loss for loss, _ in run.loss.row_losses(run.train)]
        assert ours == pytest.approx([float(loss.detach()) for loss in losses], abs=1e-5)
    theirs.backward()
    summed, count = run.loss(run.train)
    (summed / count).backward()
    assert float(summed.detach()) / count == pytest.approx(float(theirs.detach()), abs=1e-5)
    expected = {
        name.replace(".default", "").replace(".modules_to_save", ""): weight.grad
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    for name, weight in run.model.named_parameters():
        if weight.requires_grad:
            plain = name.replace(".default", "").replace(".modules_to_save", "")
            torch.testing.assert_close(weight.grad, expected[plain], atol=1e-5, rtol=1e-4, msg=plain)


def test_balanced_weights_of_several_labels_are_those_of_scikit_learn(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.utils.class_weight import compute_sample_weight

    run = begun(tiny, tmp_path, SEVERAL, classWeight="balanced")
    logits, wanted = run.loss.class_logits(run.train)
    weights = torch.tensor(
        [compute_sample_weight("balanced", wanted[:, label].numpy()) for label in range(2)]
    ).T
    expected = (
        binary_cross_entropy_with_logits(logits, wanted, weights.float(), reduction="none").mean(1).sum()
    )
    assert float(run.loss(run.train)[0].detach()) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_several_labels_are_learned_and_stored(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, SEVERAL, maxSteps=24)
    losses = losses_of(run)
    assert losses[-1] < 0.5 * losses[0]
    assert events_of(run).figures("accuracy")[-1] == 1
    stored = Classes.read(tmp_path / "jobs" / "job" / "final")
    assert stored == Classes(("hurried", "polite"), (6, 4), multiple=True)
    logs = torch.tensor(run.loss.log_probabilities(run.train))  # type: ignore[attr-defined]
    for row, found in zip(run.train, logs.exp() > 0.5, strict=True):
        assert tuple(found.nonzero().flatten().tolist()) == row.classes


def test_other_labels_are_another_data_set() -> None:
    known, other = (hash_of_rows([Example([1, 2], [-100, 0], classes=each)]) for each in ((0,), (0, 1)))
    assert known != other


def test_lists_of_labels_are_in_all_rows_or_in_none() -> None:
    mixed = rows_of([{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": "x"}])
    with pytest.raises(JobFailure, match=r"row 1: label is a list, and in other rows it is not: write all"):
        Classes.of(mixed, ())
    classes = Classes.of(mixed[:1], ())
    assert classes.numbers(mixed[0]) == (0, 1)
    with pytest.raises(JobFailure, match=r"row 2: label must be a list"):
        classes.numbers(mixed[1])
    with pytest.raises(JobFailure, match=r"row 1: label must be one label"):
        Classes(("x", "y"), (1, 1)).numbers(mixed[0])
    assert classes.majority_of(mixed[:1]) == (0, 1)


def test_it_learns_and_resumes_to_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for data in (whole, parts):
        data.mkdir()
    config: dict[str, Any] = {"loraDropout": 0.1, "maxSteps": 12}
    run = run_of(tiny, whole, **config)
    losses = losses_of(run)
    assert losses[-1] < 0.5 * losses[0]
    assert events_of(run).figures("accuracy")[-1] == 1
    paused = run_of(tiny, parts, **config)
    pausing_after(5)(paused)
    assert paused.run().status == "paused"
    resumed = run_of(tiny, parts, **config, resume_plan=points(parts))
    assert resumed.run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_another_seed_starts_with_another_head(tiny: Path, tmp_path: Path) -> None:
    heads = []
    for seed in (1, 1, 2):
        run = run_of(tiny, tmp_path)
        run.seed = seed
        run.begin()
        heads.append(run.loss._head.weight.detach())  # type: ignore[attr-defined]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert float(heads[0].std()) == pytest.approx(run.base.model.config.initializer_range, rel=0.3)


def test_a_long_text_keeps_its_beginning(tiny: Path) -> None:
    (row,) = rows_of([{"text": "word " * 50, "label": "a"}])
    encoding = Encoding(10, classes=Classes(("a", "b"), (1, 1)))
    (example,), cut = method("classify").encode(load_tokenizer(tiny), row, encoding)
    assert cut
    assert len(example.ids) == 10
    whole = load_tokenizer(tiny)("word " * 50)["input_ids"]
    assert example.ids[:-1] == whole[:9]
    assert example.learned == 1


def test_labels_that_cannot_be_learned_are_refused_with_a_remedy() -> None:
    same = rows_of([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}])
    with pytest.raises(JobFailure, match=r'All 2 training rows have the label "x".* Add rows with another'):
        Classes.of(same, ())
    assert Classes.of(same, (), least=1).names == ("x",)
    many = rows_of([{"text": "a", "label": at} for at in range(1001)])
    with pytest.raises(JobFailure, match=r"There are 1,001 labels.* 1,000 labels at most.* merge labels"):
        Classes.of(many, ())
    with pytest.raises(JobFailure, match=r'row 1: the classifier has no label "x", only "a", "b"'):
        Classes(("a", "b"), (1, 1)).numbers(same[0])
    settings = EffectiveSettings({"method": "classify", "fullFineTuning": True})
    with pytest.raises(JobFailure, match="remove full_fine_tuning"):
        method("classify").check(settings)


def test_the_same_steps_as_transformers_trainer_give_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    from torch.utils.data import SequentialSampler
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    config: dict[str, Any] = {
        "warmupSteps": 0,
        "lrSchedulerType": "linear",
        "weightDecay": 0.0,
        "maxGradNorm": 1.0,
    }
    run = begun(tiny, tmp_path, **config)
    run.save(saved := tmp_path / "saved")

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    trainer = InOrder(
        model=in_transformers(tiny, saved, 3),
        args=TrainingArguments(
            output_dir=str(tmp_path / "trainer"),
            max_steps=CONFIG["maxSteps"],
            per_device_train_batch_size=CONFIG["batchSize"],
            learning_rate=CONFIG["learningRate"],
            lr_scheduler_type="linear",
            weight_decay=0.0,
            max_grad_norm=1.0,
            use_cpu=True,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=[{"input_ids": row.ids[:-1], "labels": row.labels[-1]} for row in run.train],
        data_collator=DataCollatorWithPadding(load_tokenizer(tiny)),
    )
    trainer.train()
    first, size = run.train, CONFIG["batchSize"]
    for step in range(1, CONFIG["maxSteps"] + 1):
        start = (step - 1) * size % len(first)
        for group in run.optimizer.param_groups:
            group["lr"] = run.plan.schedule.rate_at(step)
        run.learn(first[start : start + size])
    run.save(ours := tmp_path / "ours")
    trainer.model.save_pretrained(theirs := tmp_path / "theirs")
    found, expected = (load_file(folder / "adapter_model.safetensors") for folder in (ours, theirs))
    before = load_file(saved / "adapter_model.safetensors")
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name], atol=2e-4, rtol=1e-3, msg=name)
        assert not torch.equal(weight, before[name])


def test_a_temperature_is_stored_beside_the_classifier(tmp_path: Path) -> None:
    assert read_temperature(tmp_path) == 1
    write_temperature(tmp_path, 1.7)
    assert read_temperature(tmp_path) == 1.7
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]
    for stored in ("{}", "[]", "no", '{"temperature": 0}', '{"temperature": NaN}', '{"temperature": true}'):
        (tmp_path / "calibration.json").write_text(stored)
        with pytest.raises(JobFailure, match=r"calibration.json"):
            read_temperature(tmp_path)


def test_numbers_are_ordered_by_value() -> None:
    rows = rows_of([{"text": "t", "label": label} for label in (10, 2, -1, "b", True)])
    assert Classes.of(rows, ()).names == ("-1", "2", "10", "b", "true")


def test_an_adapter_that_is_no_classifier_cannot_be_continued(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path)
    run.parent = tmp_path / "parent"
    run.parent.mkdir()
    with pytest.raises(JobFailure, match="not a classifier: start without it"):
        run.begin()
    Classes(("calm", "other"), (1, 1)).write(run.parent)
    with pytest.raises(JobFailure, match="has other labels than the rows"):
        run.begin()


def test_the_data_page_shows_the_text_of_which_no_token_is_learned(tiny: Path) -> None:
    (row,) = rows_of(ROWS[:1])
    tokenizer = load_tokenizer(tiny)
    found = tokenize_row(tokenizer, row, method("classify"), Encoding(512))
    assert [tokenizer.decode(part.coded.ids) for part in found.parts] == [row.text]
    assert found.learned == 0
