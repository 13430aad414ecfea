"""The files of a new TypeScript project, for the ``arkor`` package and the managed backend.

It has one trainer on one of Arkor's demonstration data sets, which are chats with their system prompt. Its
package.json does not name ``arkor``: no registry has it, so npm would install whatever takes that name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from .node_tools import ENTRY

TYPESCRIPT: Final = {
    "triage": "Reads a support ticket and answers with its category, urgency, summary and next action.",
    "translate": "Translates customers' messages in nine languages, and names the language.",
    "redaction": "Redacts personal data and answers with the rest of the text as JSON.",
}
"""What each template teaches, by the trainer's name; its data set is ``arkorlab/<name>-demo``."""
GITIGNORE: Final = Path(".gitignore")

INDEX: Final = """\
import { createArkor } from "arkor";
import { trainer } from "./trainer";

// Studio and the arkor command look for this: the project's trainer.
export const arkor = createArkor({ trainer });
"""
TRAINER: Final = """\
import { createTrainer } from "arkor";

// %(what)s
export const trainer = createTrainer({
  name: "%(name)s",
  model: "unsloth/gemma-4-E4B-it",
  dataset: { type: "huggingface", name: "arkorlab/%(name)s-demo" },
  datasetFormat: { type: "chatml" },
  maxSteps: 100,
  evalSteps: 25,
  lora: { r: 16, alpha: 16, loadIn4bit: false },
  // A few rows and steps, to see that every stage works:
  // dryRun: true,
  callbacks: {
    onLog: ({ step, loss, evalLoss }) => console.log(`step ${step}:`, { loss, evalLoss }),
    onCheckpoint: ({ step }) => console.log(`step ${step}: checkpoint saved`),
  },
});
"""


def starter_typescript(template: str, package: str) -> dict[Path, bytes]:
    """Return the files by path, relative to the folder; ``package`` is a valid npm name."""
    manifest = {
        # npm refuses to install a package into one of the same name.
        "name": f"{package}-project" if package == "arkor" else package,
        "private": True,
        "type": "module",
        "scripts": {"build": "arkor build", "start": "arkor start"},
    }
    entry = Path(ENTRY)
    texts = {
        Path("package.json"): json.dumps(manifest, indent=2) + "\n",
        entry: INDEX,
        entry.with_name("trainer.ts"): TRAINER % {"name": template, "what": TYPESCRIPT[template]},
        GITIGNORE: ".arkor/\nnode_modules/\n",
    }
    return {path: text.encode() for path, text in texts.items()}
