"""A card says what is known, parses as the Hub's, and nothing that it is given is markup or private."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from arkor_dev.contract.provenance.statement import statement_of
from arkor_dev.data.findings.privacy import Private
from arkor_dev.local.cards.card import card_of
from arkor_dev.local.cards.user_text import BEGIN, EMPTY, END
from tests.data.findings.test_privacy import PRIVATE, TOKEN
from tests.support.fake_evaluation import EVALUATION
from tests.support.statements import changed, raw_statement

from .test_escaping import HOSTILE

NOBODY = Private(frozenset())
BUILD = ("predicate", "buildDefinition")
INTERNAL = (*BUILD, "internalParameters")
EXTERNAL = (*BUILD, "externalParameters")


def whole(made: dict[str, Any] | None = None, private: Private = NOBODY, **more: Any) -> str:
    return EMPTY.around(card_of(statement_of(made or raw_statement()), private, **more))


def data_of(card: str) -> Any:
    """Its front matter as the Hub's own library reads it."""
    hub = pytest.importorskip("huggingface_hub")
    return hub.ModelCard(card).data


def section(card: str, title: str) -> str:
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def test_the_hub_parses_the_card() -> None:
    data = data_of(whole(evaluation=EVALUATION))
    assert data.base_model == "org/tiny"
    assert (data.library_name, data.pipeline_tag, data.license) == ("peft", "text-generation", "apache-2.0")
    assert data.language == ["en"]
    assert data.tags == ["arkor-studio", "lora", "base_model:adapter:org/tiny"]
    assert data.datasets is None
    assert data.model_name == "LoRA adapter of tiny"
    told = {(each.dataset_name, each.metric_name): each.metric_value for each in data.eval_results}
    assert told["held-out rows", "Mean loss a token, this model"] == 1.91
    assert told["held-out rows", "Mean loss a token, its base"] == 3.42
    assert told["general questions", "Mean loss a token, this model"] == 2.36


def test_the_card_has_the_verdict_with_interval() -> None:
    verdict = section(whole(evaluation=EVALUATION), "Is it better than its base?")
    assert verdict.startswith(f"**{EVALUATION['sentence']}**")
    assert "| 12 held-out rows | 3.420 | 1.910 | 1.210 to 1.800 (99 %) |" in verdict
    assert "means that the whole interval lies beyond 0.010." in verdict
    assert EVALUATION["general"]["answers"]["sentence"] in verdict
    assert EVALUATION["bestSentence"] in verdict
    chosen = {**EVALUATION, "choice": {"sentence": "Early stopping chose it by 16 rows."}}
    assert "Early stopping chose it by 16 rows." in whole(evaluation=chosen)
    assert "Unknown: it has not been compared" in section(whole(), "Is it better than its base?")


def test_the_card_has_data_and_settings() -> None:
    card = whole()
    assert section(card, "What it learned from") == (
        "54 rows; 6 more were held out for evaluation.\n\nThe data set is private and not named here."
    )
    settings = section(card, "Non-default settings")
    assert "| Learning rate (`learning_rate`) | 0.01 | by the model's size: " in settings
    assert "lora.r" not in settings, "8 is the default"
    public = changed(raw_statement(), *EXTERNAL, "data", to=[{"type": "huggingface", "name": "org/rows"}])
    card = whole(public, evaluation=EVALUATION)
    assert data_of(card).datasets == ["org/rows"]
    assert "[org/rows](https://huggingface.co/datasets/org/rows)" in section(card, "What it learned from")


def test_the_card_lists_the_limits_of_the_model() -> None:
    limits = section(whole(), "Limits")
    assert "few rows" in limits
    assert "apache-2.0" in limits
    made = changed(raw_statement(), *INTERNAL, "settings", to={"dryRun": True, "loadIn4bit": True})
    made = changed(made, *INTERNAL, "base", to={})
    limits = section(whole(made), "Limits")
    assert "dry run" in limits
    assert "4 bits" in limits
    assert "unknown here" in limits


def test_a_local_base_is_not_linked_to_the_hub() -> None:
    card = whole(changed(raw_statement(), *INTERNAL, "base", to={"name": "./models/tiny", "hub": False}))
    assert data_of(card).base_model is None
    assert "# LoRA adapter of tiny\n" in card
    assert "models/" not in card
    assert 'base = "path/to/the/base"' in card


def test_a_fully_trained_model_is_loaded_without_peft() -> None:
    card = whole(raw_statement(adapter=False))
    assert data_of(card).library_name == "transformers"
    assert "# Fine-tuned tiny\n" in card
    assert "PeftModel" not in card
    assert "convert_lora" not in card


def test_llama_cpp_is_mentioned_only_if_supported() -> None:
    assert "convert_lora_to_gguf.py" in whole()
    for settings in ({"useDora": True}, {"loraModulesToSave": ["lm_head"]}):
        card = whole(raw_statement(settings=settings))
        assert "convert_lora" not in card
        assert "cannot load" in card


def samples(text: str) -> list[dict[str, Any]]:
    return [
        {"step": 0, "prompt": text, "answer": f"base {text}"},
        {"step": 20, "prompt": text, "answer": "amid"},
        {"step": 30, "prompt": text, "answer": f"own {text}", "wanted": text},
        {"step": 30, "prompt": text},
    ]


def test_the_card_shows_the_latest_samples_beside_the_base() -> None:
    said = section(whole(samples=samples("Where?")), "Sample answers")
    assert "**Where?**" in said
    assert "> base Where?" in said
    assert "> own Where?" in said
    assert "amid" not in said
    assert "Sample answers" not in whole()


def test_a_checkpoint_card_shows_samples_of_its_step() -> None:
    said = section(whole(raw_statement(step=20), samples=samples("Where?")), "Sample answers")
    assert "this:\n\n> amid" in said
    assert "> own Where?" not in said
    assert "Sample answers" not in whole(raw_statement(step=25), samples=samples("Where?"))


@pytest.mark.parametrize("text", HOSTILE)
def test_values_in_the_card_are_escaped(text: str) -> None:
    made = raw_statement()
    for path in (
        (*INTERNAL, "base", "name"), (*INTERNAL, "base", "license"), (*INTERNAL, "base", "note"),
        (*INTERNAL, "base", "license_name"), (*INTERNAL, "base", "license_link"), (*INTERNAL, "device"),
        (*INTERNAL, "processor"), (*EXTERNAL, "settings", "optim"),
    ):  # fmt: skip
        made = changed(made, *path, to=text)
    made = changed(made, *INTERNAL, "base", "language", to=[text, 1])
    made = changed(made, *EXTERNAL, "data", to=[{"type": "huggingface", "name": text}, text])
    made = changed(made, "predicate", "runDetails", "builder", "version", to={text: text})
    evaluation = {"sentence": text, "bestSentence": text, "general": {"sentence": text}, "heldOut": text}
    card = whole(made, evaluation=evaluation, samples=samples(text))
    data = data_of(card)
    assert set(data.to_dict()) <= {
        "base_model", "library_name", "pipeline_tag", "license", "license_name", "license_link", "language",
        "tags", "model-index", *(["datasets"] if re.fullmatch(r"[\w-]+", text) else []),
    }  # fmt: skip
    assert card.count("<!--") == card.count("-->") == 2
    body = card.partition(BEGIN)[2].partition(END)[0]
    bare = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    assert re.findall(r"^#+ .*$", bare, re.MULTILINE)[1:] == [
        f"## {title}"
        for title in ("What it learned from", "Is it better than its base?", "Sample answers",
                      "Non-default settings", "Limits", "How to load it", "Made with")
    ]  # fmt: skip
    assert "<" not in bare
    targets = re.findall(r"\]\(([^)]*)\)", re.sub(r"\\.", "", bare))
    assert [target for target in targets if not target.startswith("https://huggingface.co/")] == []
    assert not re.search(r"://evil|www\.evil|@somebody", re.sub(r"\\.", "x", bare))


@pytest.mark.parametrize(
    "secret",
    ["/home/ann-smith/secret.jsonl", "ann-smith", "quarry-7", TOKEN, "correct-horse-9", r"C:\Users\x"],
)
def test_private_values_are_left_out_of_the_card(secret: str) -> None:
    made = raw_statement()
    for path in (
        (*INTERNAL, "base", "name"), (*INTERNAL, "base", "note"), (*INTERNAL, "processor"),
        (*INTERNAL, "base", "license_name"), (*EXTERNAL, "settings", "optim"),
    ):  # fmt: skip
        made = changed(made, *path, to=f"x {secret}")
    made = changed(made, *INTERNAL, "base", "hub", to=False)
    told = {**EVALUATION, "bestSentence": f"see {secret}"}
    answers = [*samples(f"What of {secret}?"), *samples("Where?")]
    card = whole(made, PRIVATE, evaluation=told, samples=answers)
    assert secret.lower() not in card.lower()
    assert json.dumps(secret)[1:-1] not in card
    assert "> own Where?" in card
    assert EVALUATION["sentence"] in card


def test_invalid_numbers_are_left_out_of_the_card() -> None:
    part = {**EVALUATION["heldOut"], "base": 1e300, "rows": True}
    for value in ({"heldOut": part}, {"heldOut": {**part, "adapter": "x", "difference": []}}, {"heldOut": 1}):
        card = whole(raw_statement(step=10**30, rows=[], totalSteps="x"), evaluation={**EVALUATION, **value})
        assert "held-out rows |" not in card
        assert "after step" not in card
        assert data_of(card) is not None


def test_a_card_omits_the_interval_of_too_few_rows() -> None:
    part = {**EVALUATION["heldOut"], "rows": 5, "difference": {"mean": 40, "low": -360, "high": 440}}
    for few, interval in ((False, "-360"), (True, "| too few rows |")):
        found = whole(evaluation={**EVALUATION, "heldOut": {**part, "tooFew": few}})
        line = next(line for line in found.splitlines() if "held-out rows |" in line)
        assert interval in line
        assert ("-360" in line) is not few


def test_a_card_words_the_verdict_on_preferences() -> None:
    told = {
        **EVALUATION,
        "heldOut": {**EVALUATION["heldOut"], "sentence": "It follows 45 of 50.", "preferred": {"won": 45}},
    }
    found = section(whole(evaluation=told), "Is it better than its base?")
    assert "It follows 45 of 50." in found
    assert "held-out rows |" not in found
    assert "general questions |" in found
