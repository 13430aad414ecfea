"""Measures whether facts are learned from rows that a teacher makes from documents, and whether invented
quotes are kept out.

A scripted teacher, a real server with OpenAI's API, asks about each invented fact of a folder in three ways,
and once per document about something whose quote is not in any document. The starter model trains on the
remaining rows. The facts are then asked about in a fourth way, and the job's verdict counts the exactly
correct answers.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.local.harness import Backend
from tests.support.scripted_teacher import Said, passage_of, scripted, sentences

from .figures import Figure
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES: Final = 20
EPOCHS: Final = 12
SYLLABLES: Final = (
    "bar",
    "dor",
    "fen",
    "gal",
    "hul",
    "kem",
    "lor",
    "mav",
    "nes",
    "pol",
    "sev",
    "tam",
    "vel",
    "wyn",
)
DRINKS: Final = "juniper cider|birch tea|plum wine|barley coffee|elder soda|quince beer|pine milk|oat brandy"
ASKED: Final = {
    "built": (
        "When was the harbour of {place} built?",
        "{place} has a harbour. Which year is it from?",
        "Tell me the year in which people finished {place}'s harbour.",
        "How old is the harbour in {place}? Name only its year.",
    ),
    "drink": (
        "What is the town drink of {place}?",
        "I am thirsty in {place}. What do they pour me there?",
        "Which beverage is {place} famous for?",
        "Name what people like to drink when they visit {place}.",
    ),
}
"""Three phrasings for the teacher, and one that is never trained on."""


def facts(seed: int = 0) -> dict[str, dict[str, str]]:
    """Return the invented facts about each place."""
    chance = random.Random(seed)  # noqa: S311 - invented facts, no secrets
    names = ["".join(chance.sample(SYLLABLES, 3)).capitalize() for _ in range(PLACES)]
    years = chance.sample(range(1400, 1900), PLACES)
    drinks = DRINKS.split("|")
    return {
        name: {"built": str(year), "drink": drinks[number % len(drinks)]}
        for number, (name, year) in enumerate(zip(names, years, strict=True))
    }


def document(place: str, known: dict[str, str]) -> str:
    """Return a page about ``place`` that states its facts."""
    return (
        f"# {place}\n\nThe harbour of {place} was built in the year {known['built']} by its fishermen. "
        f"The town drink of {place} is {known['drink']}, served in every inn on the quay. "
        f"Visitors of {place} arrive by the coast road, and most of them stay for one night.\n"
    )


def answer_to(known: dict[str, dict[str, str]], body: dict[str, Any]) -> Said:
    """Return the teacher's rows about the passage of a request: six true ones, and one with a false quote."""
    passage = passage_of(body)
    place = next(name for name in known if name in passage)
    rows = [
        {"question": question.format(place=place), "answer": known[place][kind], "quote": quote}
        for kind, quote in zip(ASKED, sentences(passage), strict=False)
        for question in ASKED[kind][:3]
    ]
    invented = f"The lighthouse of {place} was painted red by a travelling circus."
    rows.append(
        {"question": f"What colour is the lighthouse of {place}?", "answer": "red", "quote": invented}
    )
    return Said(rows)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield how many rows were made and dropped, and how many facts base and adapter state exactly."""
    known = facts()
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        project = Path(folder) / "project"
        (project / "docs").mkdir(parents=True)
        for place, own in known.items():
            (project / "docs" / f"{place.lower()}.md").write_text(document(place, own))
        _write_questions(project / "questions.jsonl", known)
        made = _make(project, Path(folder) / "home", known)
        yield Figure("rows made, of six a document", made, "", least=6 * PLACES)
        text = (project / "data" / "made" / "docs-qa.jsonl").read_text()
        yield Figure("rows that rest on an invented quote", text.count("circus"), "", most=0)

        began = time.monotonic()
        verdict = _train(project, Path(folder) / "data", quick=quick)
        yield Figure("training and its verdict", time.monotonic() - began, "s")
        (asked,) = verdict["sets"]
        count, least = asked["rows"], None if quick else 0.5
        yield Figure("facts that the base states exactly", asked["base"] * count, f"of {count}")
        yield Figure("facts that the adapter states exactly", asked["adapter"] * count, f"of {count}")
        difference = asked["difference"]
        yield Figure(
            "  difference of the shares, low end of its interval", difference["low"], "", least=least
        )
        yield Figure("  high end", difference["high"], "")


def _write_questions(path: Path, known: dict[str, dict[str, str]]) -> None:
    rows = [
        {"prompt": ways[-1].format(place=place), "completion": own[kind]}
        for place, own in known.items()
        for kind, ways in ASKED.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _make(project: Path, home: Path, known: dict[str, dict[str, str]]) -> int:
    """Make the rows with the command; return their number."""
    home.mkdir()
    with scripted(lambda _, body: answer_to(known, body)) as teacher:
        command = [sys.executable, "-m", "arkor_dev", "data", "make", "docs", "--teacher", teacher.url]
        command += ["--model", "scripted", "--each", "8", "--budget-tokens", "1000000"]
        environ = {**os.environ, "HOME": str(home)}
        done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return len((project / "data" / "made" / "docs-qa.jsonl").read_text().splitlines())


def _train(project: Path, data: Path, *, quick: bool) -> dict[str, Any]:
    """Train on the made rows and return the verdict."""
    source = {"type": "file", "path": "data/made/docs-qa.jsonl", "only": "all"}
    config = {
        "model": str(starter()),
        "datasetSource": source,
        "evalDatasetSource": {"type": "file", "path": "questions.jsonl"},
        "evaluations": [{"name": "in other words", "path": "questions.jsonl", "metric": "exact_match"}],
        **({"maxSteps": 2} if quick else {"numTrainEpochs": EPOCHS}),
        "learningRate": 1e-3,
        "loraR": 16,
    }
    backend = Backend.start(data, project, CACHE, OMP_NUM_THREADS="2")
    try:
        job = backend.submit(config)
        while backend.job(job)["status"] in ("queued", "running"):
            time.sleep(1)
        found = backend.job(job)
    finally:
        backend.stop()
    if found["status"] != "completed":
        raise RuntimeError(found.get("error"))
    verdict: dict[str, Any] = found["evaluation"]
    return verdict
