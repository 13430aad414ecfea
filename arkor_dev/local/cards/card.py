"""The model card: formats a provenance and an evaluation as the Hub's front matter and Markdown.

It states known facts, and which ones are unknown. It is built from an allow-list of fields; a text that would
identify this machine is omitted, and every other text is escaped for its context.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.provenance.statement import (
    builder,
    dependencies,
    external,
    internal,
    is_number,
    object_at,
)
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.settings.classification import METHOD as CLASSIFY
from arkor_dev.contract.settings.embedding import METHOD as EMBED
from arkor_dev.contract.settings.evaluation import RERANKING as RERANK
from arkor_dev.local.models.catalog import HUB_ID

from .escaping import front_matter, inline, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.contract.provenance.statement import Statement
    from arkor_dev.data.findings.privacy import Private

    Usage = Sequence[tuple[str, str]]
    """A command or line of code for each program, as in the records of the export formats."""

MOST: Final = 4
QUESTION: Final = 300
ANSWER: Final = 600


def answers(samples: Sequence[Mapping[str, object]], step: object, private: Private) -> Iterator[str]:
    """Yield a section with the answers of ``step`` to the first few questions, next to the base's, if any.

    Each sample has the fields of ``sample.created``, ``{step, number?, prompt, answer, wanted?}``; step 0 is
    the base model. A question with private content is omitted with its answers.
    """
    if type(step) is not int:  # a statement of another program may contain anything
        return
    by_question: dict[tuple[str, int], list[Mapping[str, object]]] = {}
    for sample in samples:
        prompt, answer, sample_step = (sample.get(key) for key in ("prompt", "answer", "step"))
        number = sample.get("number", 0)
        if isinstance(prompt, str) and isinstance(answer, str) and type(sample_step) is type(number) is int:
            by_question.setdefault((prompt, number), []).append(sample)
    sections = []
    for (prompt, _), versions in by_question.items():
        by_step = {sample["step"]: sample for sample in versions}
        before, after = (
            by_step[number_of_step]["answer"] if number_of_step in by_step else None
            for number_of_step in (0, step)
        )
        expected = next(
            (sample["wanted"] for sample in versions if isinstance(sample.get("wanted"), str)), None
        )
        parts = [("wanted", expected), ("base", before), ("this", after)]
        texts = [(name, text) for name, text in parts if isinstance(text, str)]
        private_texts = (prompt, *(text for _, text in texts))
        if step and after is not None and not any(map(private.private_kind, private_texts)):
            sections.append((prompt, texts))
    if not sections:
        return
    yield "## Sample answers"
    for prompt, texts in sections[:MOST]:
        yield f"**{inline(prompt, QUESTION) or '(no prompt)'}**"
        for name, text in texts:
            yield "\n".join([f"{name}:", "", *(quoted(text, ANSWER) if text.strip() else ["> (nothing)"])])


BASE: Final = "path/to/the/base"
TEXT_ONLY, SEEING = "AutoModelForCausalLM", "AutoModelForImageTextToText"
"""transformers' classes that load a language model, and one with its vision tower."""
ENCODER: Final = "AutoModel"
"""The one that loads an encoder."""
FOLDER: Final = "path/to/this/folder"
PEFT: Final = """```python
from peft import PeftModel
from transformers import {auto}, AutoTokenizer

base = "{base}"
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained({auto}.from_pretrained(base), "{here}")
```"""
CLASSIFIER: Final = """```python
import json

from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

base, here = "{base}", "{here}"
with open(f"{{here}}/labels.json") as file:
    labels = json.load(file)["label2id"]
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForSequenceClassification.from_pretrained(
    base, label2id=labels, id2label={{number: label for label, number in labels.items()}}
)
model = PeftModel.from_pretrained(model, here)
model.config.pad_token_id = tokenizer.pad_token_id
```

If there is a `calibration.json`, divide the logits by its `temperature` for calibrated probabilities."""
EMBEDDER: Final = """```python
import json

import torch
from peft import PeftModel
from transformers import {auto}, AutoTokenizer

base, here = "{base}", "{here}"
with open(f"{{here}}/embedder.json") as file:
    embedder = json.load(file)
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained({auto}.from_pretrained(base), here)
inputs = tokenizer(embedder["query_prompt"] + "a query", return_tensors="pt")
with torch.no_grad():
    states = model(**inputs, output_hidden_states=True).hidden_states[-1][0]
vector = states.mean(0) if embedder["pooling"] == "mean" else states[-1]
vector = vector / vector.norm()
```"""
RERANKER: Final = """```python
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

base, here = "{base}", "{here}"
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
model = PeftModel.from_pretrained(model, here)
model.config.pad_token_id = tokenizer.pad_token_id
relevance = model(**tokenizer("a query", "a document", return_tensors="pt")).logits.sigmoid()
```"""
CROSS_ENCODER: Final = """```python
from sentence_transformers import CrossEncoder

model = CrossEncoder("{here}")
print(model.rank("a query", ["a document", "another one"]))
```"""
SENTENCE_TRANSFORMER: Final = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{here}")
query = model.encode("a query", prompt_name="query")
documents = model.encode(["a document"], prompt_name="document")
print(model.similarity(query, documents))
```"""
FULL_MODEL: Final = """```python
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{here}")
model = {auto}.from_pretrained("{here}")
```"""
LLAMA: Final = """```sh
python convert_lora_to_gguf.py --base {base} --outfile adapter.gguf {here}
llama-cli -m base.gguf --lora adapter.gguf
```"""
OLLAMA: Final = """```sh
llama-export-lora -m base.gguf --lora adapter.gguf -o model.gguf
echo "FROM ./model.gguf" > Modelfile
ollama create my-model
```"""
MERGED_FOR_OLLAMA: Final = (
    "With Ollama, which has not accepted adapters since version 0.34.1, after merging with llama.cpp:"
)

ONNX: Final = """```python
import onnxruntime
from transformers import AutoTokenizer

here = "{here}"
tokenizer = AutoTokenizer.from_pretrained(here)
session = onnxruntime.InferenceSession(f"{{here}}/model.onnx")
inputs = tokenizer({texts}, padding=True, truncation=True, return_tensors="np")
(outputs,) = session.run(None, dict(inputs))
```"""
ONNX_TEXTS: Final = {
    CLASSIFY: '["a text", "another one"]',
    EMBED: '["a text", "another one"]',
    RERANK: '["a query", "a query"], ["a document", "another one"]',
}
"""What is tokenized for each method's model."""
ONNX_OUTPUTS: Final = {
    CLASSIFY: "The outputs are logits, `[texts, labels]`: `labels.json` has the labels, and if there is a "
    "`calibration.json`, divide the logits by its `temperature` for calibrated probabilities.",
    EMBED: "The outputs are vectors of length 1, `[texts, size]`, whose products are cosines. "
    "`embedder.json` has the prompts to write before queries and documents.",
    RERANK: "The outputs are logits, `[pairs, 1]`, whose sigmoids say how relevant each document is.",
}
"""What its outputs mean."""
SAME_BASE: Final = "`base.gguf` is the same base."


def loading(
    hub: str | None,
    adapter: bool,
    settings: Mapping[str, object],
    *,
    usage: Usage = (),
    weights: object = None,
    auto: str = TEXT_ONLY,
) -> Iterator[str]:
    """Yield the section on loading; ``hub`` is the base model's id on the Hub, if any.

    ``usage`` has the lines of an export's format that are all to say, ``weights`` is their file's format if
    it is ``gguf`` or ``onnx``; ``auto`` is transformers' class that loads the base.
    """
    method = str(settings.get("method"))
    if usage:
        if method == EMBED:
            yield "`embedder.json` has the prompts to write before queries and documents."
        if adapter:
            yield SAME_BASE
        for program, line in usage:
            text = line.replace("FOLDER/", "").replace("NAME", "my-model").replace("BASE", "base")
            yield f"{program}:"
            yield f"```{'python' if program == 'In Python' else 'sh'}\n{text}\n```"
        if adapter:
            yield MERGED_FOR_OLLAMA
            yield OLLAMA
        return
    if weights == "onnx" and method in ONNX_TEXTS:
        yield ONNX.format(here=FOLDER, texts=ONNX_TEXTS[method])
        yield ONNX_OUTPUTS[method]
        return
    if settings.get("method") == CLASSIFY:
        yield CLASSIFIER.format(base=hub or BASE, here=FOLDER)
        return
    if settings.get("method") == RERANK:
        yield (RERANKER if adapter else CROSS_ENCODER).format(base=hub or BASE, here=FOLDER)
        return
    if settings.get("method") == EMBED:
        form = EMBEDDER if adapter else SENTENCE_TRANSFORMER
        yield form.format(base=hub or BASE, here=FOLDER, auto=auto)
        return
    if not adapter:
        yield FULL_MODEL.format(here=FOLDER, auto=auto)
        return
    yield PEFT.format(base=hub or BASE, here=FOLDER, auto=auto)
    if (thinks := settings.get("enableThinking")) is not None:
        yield (
            f"It was trained with `enable_thinking={thinks}` in the chat template: pass that to "
            "`tokenizer.apply_chat_template`."
        )
    if settings.get("useDora") or settings.get("loraModulesToSave"):
        yield "llama.cpp and Ollama cannot load this kind of adapter: merge it into its base first."
        return
    yield (
        "With llama.cpp, whose script converts the adapter to GGUF for supported models (`base.gguf` is "
        "the same base):"
    )
    yield LLAMA.format(base=BASE, here=FOLDER)
    yield MERGED_FOR_OLLAMA
    yield OLLAMA


TEXT: Final = 300
SENTENCE: Final = 600
FEW_ROWS: Final = 100
SHOWN_ELSEWHERE: Final = ("model", "seed", "samples")
"""Settings shown in other sections of the card."""
SHORT: Final = 12
"""Number of a hash's characters that are shown."""
PARTS: Final = (("heldOut", "held-out rows"), ("general", "general questions"))
SEARCH: Final = (EMBED, RERANK)
"""Methods whose models search: their figures are no losses."""
_ID: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,8}")


def card_of(
    statement: Statement,
    private: Private,
    evaluation: Mapping[str, object] | None = None,
    samples: Sequence[Mapping[str, object]] = (),
    usage: Usage = (),
) -> str:
    """Return the card for ``statement``: front matter without its fences, an empty line, and the text.

    ``evaluation`` and ``samples`` have the contract's shapes; ``usage`` as in `loading`.
    """
    return Card(statement, private, evaluation if isinstance(evaluation, dict) else {}, samples, usage).text()


class Card:
    """One card being built."""

    def __init__(
        self,
        statement: Statement,
        private: Private,
        evaluation: Mapping[str, object],
        samples: Sequence[Mapping[str, object]],
        usage: Usage,
    ) -> None:
        self._statement, self._private = statement, private
        self._evaluation, self._samples, self._usage = evaluation, samples, usage
        self._internal, self._external = internal(statement), external(statement)
        self._base = object_at(self._internal, "base")
        name = self._base.get("name")
        is_public = isinstance(name, str) and (
            self._base.get("hub") is True or not private.private_kind(name)
        )
        self._name = str(name) if is_public else ""
        hub = self._base.get("hub") is True and HUB_ID.fullmatch(self._name) is not None
        self._hub = self._name if hub else None
        self._adapter = self._internal.get("adapter") is not False
        self._merged = self._internal.get("merged") is True
        self._weights = self._internal.get("weights")
        self._method = object_at(self._internal, "settings").get("method")
        strength = self._internal.get("strength")
        self._strength = strength if isinstance(strength, float) and is_number(strength) else 1.0

    def text(self) -> str:
        body = [
            f"# {self._title(escaped=True)}",
            self._beginning(),
            "## What it learned from",
            *self._data(),
            "## Is it better than its base?",
            *self._verdict(),
            *answers(self._samples, self._internal.get("step"), self._private),
            "## Non-default settings",
            *self._settings(),
            "## Limits",
            "\n".join(f"- {limit}" for limit in self._limits()),
            "## How to load it",
            *loading(
                self._hub,
                self._adapter,
                object_at(self._internal, "settings"),
                usage=self._usage,
                weights=self._weights,
                auto=ENCODER
                if self._internal.get("encoder") is True
                else SEEING
                if self._internal.get("sees") is True
                else TEXT_ONLY,
            ),
            "## Made with",
            *self._versions(),
        ]
        return "\n".join(
            [*front_matter(self._front_matter()), "", "\n\n".join(part for part in body if part)]
        )

    def _text(self, value: object, limit: int = TEXT) -> str:
        """Return an untrusted text as Markdown on one line; empty if it is missing or private."""
        if not isinstance(value, str) or self._private.private_kind(value):
            return ""
        return inline(value, limit)

    def _base_name(self, escaped: bool) -> str:
        short = self._name.rstrip("/").rpartition("/")[2]
        return (inline(short, TEXT) if escaped else short) or "a custom model"

    def _title(self, escaped: bool) -> str:
        kind = "LoRA adapter of" if self._adapter else "Fine-tuned"
        return f"{kind} {self._base_name(escaped)}"

    def _front_matter(self) -> dict[str, object]:
        fields: dict[str, object] = {"base_model": self._hub} if self._hub else {}
        base, library = self._base, "peft" if self._adapter else "transformers"
        if self._weights in ("gguf", "onnx"):
            library = str(self._weights)
        elif self._method in SEARCH and not self._adapter:
            library = "sentence-transformers"
        fields |= {"library_name": library, "pipeline_tag": self._task}
        if isinstance(base.get("license"), str) and _ID.fullmatch(base["license"]):
            fields["license"] = base["license"]
            details = {key: base.get(key) for key in ("license_name", "license_link")}
            fields |= {key: value for key, value in details.items() if self._text(value)}
        languages = base.get("language")
        if isinstance(languages, list):
            codes = [code for code in languages if isinstance(code, str) and _LANGUAGE.fullmatch(code)]
            fields |= {"language": codes} if codes else {}
        tags = ["arkor-studio", *(["lora"] if self._adapter else [])]
        if self._hub:
            tags.append(f"base_model:{'adapter' if self._adapter else 'finetune'}:{self._hub}")
        fields["tags"] = tags
        if public := self._public():
            fields["datasets"] = public
        # The adapter was evaluated at full strength.
        if self._strength == 1 and (results := list(self._results(public))):
            fields["model-index"] = [{"name": self._title(escaped=False), "results": results}]
        return fields

    def _public(self) -> list[str]:
        """Return the names of the publicly readable data sets."""
        data = self._external.get("data")
        names = (
            [entry.get("name") for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
        )
        return list(dict.fromkeys(name for name in names if isinstance(name, str) and HUB_ID.fullmatch(name)))

    @property
    def _task(self) -> str:
        """The Hub's name for what the model does."""
        tasks = {CLASSIFY: "text-classification", EMBED: "sentence-similarity", RERANK: "text-ranking"}
        return (
            tasks.get(self._method, "text-generation") if isinstance(self._method, str) else "text-generation"
        )

    def _results(self, public: Sequence[str]) -> Iterator[dict[str, object]]:
        for key, name in PARTS:
            part = object_at(self._evaluation, key)
            metrics = [
                {"type": "loss", "value": part[version], "name": f"Mean loss a token, {label}"}
                for version, label in (("adapter", "this model"), ("base", "its base"))
                if is_number(part.get(version))
            ]
            if self._method in SEARCH:
                label = object_at(part, "measure").get("label")
                kind = "spearman_cosine" if label == "Rank correlation" else "ndcg_at_10"
                metrics = [{**metric, "type": kind, "name": label} for metric in metrics[:1]]
            if "classified" in part:
                found = object_at(part, "classified")
                accuracy, f1 = (object_at(found, name) for name in ("accuracy", "macroF1"))
                metrics = [
                    {"type": metric, "value": figure["share"], "name": label}
                    for metric, figure, label in (("accuracy", accuracy, "Accuracy"), ("f1", f1, "Macro F1"))
                    if is_number(figure.get("share"))
                ]
            kind = public[0] if key == "heldOut" and len(public) == 1 else "private"
            if metrics:
                yield {
                    "task": {"type": self._task, "name": self._task.capitalize().replace("-", " ")},
                    "dataset": {"name": name, "type": kind if key == "heldOut" else "arkor-dev"},
                    "metrics": metrics,
                }

    def _beginning(self) -> str:
        base = f"[{inline(self._hub, TEXT)}](https://huggingface.co/{self._hub})" if self._hub else ""
        base = base or f"{self._base_name(escaped=True)} (not on the Hub: a local folder)"
        step, total = (_count(self._internal.get(key)) for key in ("step", "totalSteps"))
        progress = f" after step {step}" + (f" of {total}" if total else "") if step else ""
        kind = "An adapter (LoRA) for" if self._adapter else "A full fine-tune of"
        if self._merged:
            kind = "An adapter (LoRA), merged into"
        note = self._text(self._base.get("note"))
        strength = "" if self._strength == 1 else f", at {100 * self._strength:.3g} % of its strength"
        sentence = f"{kind} {base}, as it was{progress}{strength}, made with Arkor Studio."
        return sentence + (f" {note}." if note else "")

    def _data(self) -> Iterator[str]:
        rows = object_at(self._internal, "rows")
        train, held_out = (_count(rows.get(key)) for key in ("train", "heldOut"))
        counts = [f"{train} {'row' if train == '1' else 'rows'}"] if train else []
        if held_out not in ("", "0"):
            counts.append(f"{held_out} more were held out for evaluation")
        public = self._public()
        links = ", ".join(
            f"[{inline(name, TEXT)}](https://huggingface.co/datasets/{name})" for name in public
        )
        yield "; ".join(counts) + ("." if counts else "")
        yield f"Of {links}." if links else "The data set is private and not named here."

    def _verdict(self) -> Iterator[str]:
        sentence = self._text(self._evaluation.get("sentence"), SENTENCE)
        if not sentence:
            yield "Unknown: it has not been compared with its base."
            return
        if self._strength != 1:
            yield (
                "All measurements and answers were made at the adapter's full strength; this model's "
                "strength differs."
            )
        yield f"**{sentence}**"
        rows = []
        for key, name in PARTS:
            part = object_at(self._evaluation, key)
            if (
                "preferred" in part or "classified" in part or self._method in SEARCH
            ):  # these figures are no losses
                yield self._text(part.get("sentence"), SENTENCE)
                more = object_at(part, "classified").get("sentences")
                for sentence in more[:MOST] if isinstance(more, list) else ():
                    yield self._text(sentence, SENTENCE)
                continue
            difference = object_at(part, "difference")
            losses = [_loss(part.get(version)) for version in ("base", "adapter")]
            ends = [_loss(difference.get(version)) for version in ("low", "high")]
            if all((*losses, *ends)):
                confidence = _count(part.get("confidence"))
                interval = f"{' to '.join(ends)}{confidence and f' ({confidence} %)'}"
                if part.get("tooFew") is True:
                    interval = "too few rows"
                cells = [f"{_count(part.get('rows'))} {name}".strip(), *losses, interval]
                rows.append(f"| {' | '.join(cells)} |")
        if rows:
            head = "| mean loss per token on | base | this | base less this, interval |\n|---|--:|--:|--:|"
            yield "\n".join([head, *rows])
            margin = _loss(self._evaluation.get("margin"))
            beyond = f" beyond {margin}" if margin else " away from zero"
            yield f"Each row counts the same. Better or worse means that the whole interval lies{beyond}."
        general = object_at(self._evaluation, "general")
        yield self._text(object_at(general, "answers").get("sentence"), SENTENCE)
        yield self._text(object_at(self._evaluation, "warning").get("sentence"), SENTENCE)
        yield self._text(object_at(self._evaluation, "choice").get("sentence"), SENTENCE)
        yield self._text(object_at(self._evaluation, "budget").get("sentence"), SENTENCE)
        yield self._text(self._evaluation.get("bestSentence"), SENTENCE)
        yield self._text(object_at(self._evaluation, "split").get("sentence"), SENTENCE)

    def _settings(self) -> Iterator[str]:
        settings, rows, lines = object_at(self._external, "settings"), by_field(), list[str]()
        for field, value in settings.items():
            row = rows.get(field)
            if row is None or field in SHOWN_ELSEWHERE or value == row.default:
                continue
            default = row.default_words if row.default is None else _value(row.default)
            if text := self._text(_value(value), 80):
                lines.append(f"| {row.label} (`{row.key}`) | {text} | {inline(default, 80)} |")
        if lines:
            yield "\n".join(["| setting | here | default |", "|---|---|---|", *lines])
        else:
            yield "All settings have their defaults."

    def _limits(self) -> Iterator[str]:
        settings, rows = object_at(self._internal, "settings"), object_at(self._internal, "rows")
        if settings.get("dryRun") is True:
            yield (
                "It comes from a dry run with a few rows and steps, which only shows that every stage works."
            )
        if self._evaluation:
            yield "It was measured on rows of its own data set, which says nothing about other uses."
        if is_number(rows.get("train")) and rows["train"] < FEW_ROWS:
            yield "It was trained on few rows, and may repeat them word for word."
        else:
            yield "It may repeat its training data word for word."
        if settings.get("loadIn4bit") is True:
            yield "It was trained on the base in 4 bits: on the unquantized base it behaves differently."
        if isinstance(self._base.get("license"), str) and _ID.fullmatch(self._base["license"]):
            yield f"The licence is that of the base model ({inline(self._base['license'], 60)})."
        else:
            yield (
                "The licence of the base model is unknown here and applies to this model, too: see its card."
            )

    def _versions(self) -> Iterator[str]:
        lines = ["| | |", "|---|---|"]
        versions = object_at(builder(self._statement), "version")
        seed = object_at(self._internal, "settings").get("seed")
        facts = {
            **dict(list(versions.items())[:20]),
            "device": self._internal.get("device"),
            "processor": self._internal.get("processor"),
            "number format": self._internal.get("numberFormat"),
            "threads": self._internal.get("threads"),
            "seed": seed,
        }
        for name, value in facts.items():
            text = "" if value is None else self._text(str(value), 80)
            if text and self._text(name, 40):
                lines.append(f"| {self._text(name, 40)} | {text} |")
        hashes = (entry["digest"]["sha256"] for entry in dependencies(self._statement, "rows"))
        lines += [f"| SHA-256 of the rows | `{digest[:SHORT]}…` |" for digest in hashes]
        yield "\n".join(lines)
        yield (
            "`provenance.json` beside this card has the SHA-256 of every input and output file. "
            "`arkor-dev verify FOLDER` checks them, and with `--repeat` trains again and compares."
        )


def _count(value: object) -> str:
    """Return a whole number in digits; empty for anything else."""
    return f"{value:,}" if type(value) is int and 0 <= value < 10**15 else ""


def _loss(value: object) -> str:
    """Return a loss, or a difference of two losses; empty for anything else."""
    is_one = isinstance(value, int | float) and is_number(value) and abs(value) < 10**6
    return f"{value:.3f}" if is_one else ""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(_value(member) for member in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
