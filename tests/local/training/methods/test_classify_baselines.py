"""The baselines of a classifier: the base's likelihoods are transformers', and TF-IDF is scikit-learn's."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from arkor_dev.data.labels import LABELED
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods.classify import baselines, tfidf
from arkor_dev.local.training.methods.classify.baselines import Baselines

from .test_classify import begun

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.data.rows import Row

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

NAMES = ("calm", "calmer", "hurried")


def rows_of(*texts: str, label: str = "calm") -> list[Row]:
    return [
        row_of({"text": text, "label": label}, f"row {at}", None, {}, forms=LABELED)
        for at, text in enumerate(texts, 1)
    ]


def made(tiny: Path, held_out: list[Row], names: tuple[str, ...] = NAMES, **more: Any) -> Baselines:
    classes = Classes(names, tuple(1 for _ in names))
    return Baselines(load_tokenizer(tiny), more.get("learned", held_out), held_out, classes, 2048)


@pytest.mark.parametrize("template", [True, False])
def test_the_bases_choice_is_by_the_likelihood_of_the_labels_whole_text(
    tiny: Path, tmp_path: Path, template: bool
) -> None:
    held_out = rows_of("Please hurry: the parcel.", "No rush.")
    labeler = made(tiny, held_out)
    if not template:
        labeler.tokenizer.chat_template = None
    choices = labeler.choices(padded=False)
    assert list(choices) == [0, 1]
    run = begun(tiny, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    for number, examples in choices.items():
        with run.model.disable_adapter():
            ours = [loss for loss, _ in run.loss.cross_entropy(examples)]
        theirs = []
        for example, name in zip(examples, NAMES, strict=True):
            start = example.labels.index(next(label for label in example.labels if label != IGNORED))
            prompt, answer = (
                labeler.tokenizer.decode(ids) for ids in (example.ids[:start], example.ids[start:])
            )
            assert answer == (f"{name}\n" if template else f" {name}\n")
            assert (held_out[number].text or "") in prompt
            assert "- calmer" in prompt
            with torch.no_grad():
                logs = model(input_ids=torch.tensor([example.ids])).logits[0].log_softmax(-1)
            after = range(start, len(example.ids))
            theirs.append(-sum(float(logs[place - 1, example.ids[place]]) for place in after))
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_so_many_rows_are_asked_about_as_the_limits_allow(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = rows_of(*(f"Text {number}" for number in range(250)))
    numbers = list(made(tiny, held_out).choices(padded=False))
    assert 50 < len(numbers) <= 100
    assert numbers[-1] > 240  # they are spread over all rows
    monkeypatch.setattr(baselines, "MOST_TOKENS", 2000)
    packed, padded = (made(tiny, held_out).choices(padded=padded) for padded in (False, True))
    assert 0 < len(padded) < len(packed) < len(numbers)
    assert sum(len(example.ids) for examples in padded.values() for example in examples) <= 2000


def test_a_prompt_that_is_too_long_is_not_asked(tiny: Path) -> None:
    names = tuple(f"a label with a long name {number}" for number in range(300))
    assert made(tiny, rows_of("Text"), names).choices(padded=False) == {}
    long = made(tiny, rows_of("word " * 5000)).choices(padded=False)
    assert len(long[0][0].ids) < 600


def test_a_template_that_rejects_the_prompt_means_no_choice(tiny: Path) -> None:
    labeler = made(tiny, rows_of("Text"))
    labeler.tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert labeler.choices(padded=False) == {}


WORDS = [("a late parcel number {}", "shipping"), ("charged twice for {}", "billing")]


def test_word_frequencies_tell_labels_apart(tiny: Path) -> None:
    pytest.importorskip("sklearn")
    learned = [
        row for text, label in WORDS for row in rows_of(*(text.format(n) for n in range(20)), label=label)
    ]
    held_out = rows_of("my parcel is late", "they charged me")
    labeler = made(tiny, held_out, ("billing", "shipping"), learned=learned)
    assert labeler.tfidf() == [(1,), (0,)]
    assert made(tiny, held_out, learned=learned[:20]).tfidf() is None  # of one label


def test_texts_without_spaces_are_read_by_characters() -> None:
    pytest.importorskip("sklearn")
    texts = [f"荷物が遅れています{n}" for n in range(9)] + [f"二重に請求されました{n}" for n in range(9)]
    labels = ["shipping"] * 9 + ["billing"] * 9
    assert tfidf.predict(texts, labels, ["荷物はどこですか", "請求書が二枚"]) == ["shipping", "billing"]


def test_without_scikit_learn_a_sentence_says_what_to_install(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    labeler = made(tiny, rows_of("Text"))
    assert not labeler.available
    assert "It needs scikit-learn: " in labeler.missing
    assert "scikit-learn>=1.4" in labeler.missing
