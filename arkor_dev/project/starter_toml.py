"""The ``arkor.toml`` of a new project: the table of settings as a commented file that trains as it is.

What the example sets is active; the other common settings follow as comments. The file stays short enough to
be read: the rest are in the reference, ``docs/settings.md``.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import settings
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings.setting import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.settings.setting import Setting

VALUES: Final = {
    "model": "smollm2-135m-instruct",
    "steps": 40,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "scheduler": "cosine",
    "warmup_steps": 2,
    "eval_split": 0.2,
    "replay": 0.2,
    "eval_every": 15,
    "save_every": 15,
    "lora.r": 8,
    "lora.alpha": 16,
}
"""The example's settings by key: a model and a length suitable for a laptop without a GPU."""
OWN_DATA: Final = ("model", "lora.r", "lora.alpha")
"""Values that suit any data: the others would be wrong for more or fewer rows."""

HEAD: Final = """\
# What Arkor Studio trains in this folder. One [[trainer]] or several; each shows up under its name.
# Start Studio with `arkor-dev --local` and press Run training, or run `arkor-dev start --local`.

[[trainer]]
"""
DATASET: Final = """\
# One chat per line: {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
# or {"prompt": "…", "completion": "…"}; ShareGPT, Alpaca and {"text": "…"} are known too. JSON, CSV, TSV and
# Parquet do as well, each but Parquet packed as .gz or not. A folder is all of its files. More:
# dataset = ["data/a.jsonl", { path = "data/b.json", weight = 2 }]  # each row of b.json twice per epoch
# dataset = { path = "data/faq.csv", columns = { prompt = "question", completion = "answer" } }
# dataset = { huggingface = "owner/name", split = "train" }
# Rows of one document (a column "document") are held out of training together, or not at all:
# dataset = { path = "data/faq.csv", group = "document" }
# Rows to evaluate on instead of a part of these (then without eval_split):
# eval_dataset = "data/eval.jsonl"
"""


WIDTH: Final = 110


def starter_toml(name: str = "my-bot", own_data: str | None = None) -> str:
    """Return the whole file: of the example, or of a trainer called ``name`` for the user's data file."""
    values = {key: VALUES[key] for key in (OWN_DATA if own_data else VALUES)}
    rows = [row for row in settings.below("") if row.group == "usual" or row.key in values]
    model, *rest = [row for row in rows if row.key in values]
    data = f"{DATASET}dataset = {quoted(own_data or 'data/chats.jsonl')}\n"
    parts = [f"{HEAD}name = {quoted(name)}\n", _entry(model, values), data]
    parts += [_entry(row, values) for row in rest]
    parts += [
        "# More settings; docs/settings.md of Arkor Studio lists all of them:\n",
        *(_entry(row, values) for row in rows if row.key not in values),
    ]
    for table in settings.tables():
        head = f"[trainer.{table}]\n"
        for row in _usual(table):
            parts.append(head + _entry(row, values))
            head = ""
    return "\n".join(parts)


def _usual(table: str) -> list[Setting]:
    return [row for row in settings.below(table) if row.group == "usual"]


def _entry(row: Setting, values: Mapping[str, object]) -> str:
    """Return a setting's purpose and the line that sets it, as a comment unless the example sets it."""
    facts = [row.help]
    if row.rule.kind == "choice":
        facts.append(f"{row.rule.words.capitalize()}.")
    if row.where != EVERYWHERE:
        facts.append(f"Only for {row.where}.")
    if row.key not in values and row.default is None:
        facts.append(f"Unset: {row.default_words}.")
    comment = textwrap.fill(" ".join(facts), WIDTH, initial_indent="# ", subsequent_indent="# ")
    value, mark = (values[row.key], "") if row.key in values else (row.sample_value, "# ")
    return f"{comment}\n{mark}{row.name} = {quoted(value)}\n"
