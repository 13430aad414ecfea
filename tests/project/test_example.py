"""The example's chats: one voice, one form, no two alike, short enough to train on a laptop."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import pytest

from arkor_dev.project.arkor_toml import load_trainers

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "support-bot"
FORM = re.compile(
    r"Log (?P<time>[0-2]\d:[0-5]\d) — (?P<remark>[A-Z][^\n]+[.!?])\n"
    r"(?P<bearings>(?:\d\. Bearing [0-3]\d\d: [^\n]+[.!?]\n)+)"
    r"Keep the lamp lit\."
)


def read_chats() -> list[tuple[str, str]]:
    chats = []
    for line in (EXAMPLE / "data" / "chats.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert list(row) == ["messages"]
        question, answer = row["messages"]
        assert (question["role"], answer["role"]) == ("user", "assistant")
        chats.append((question["content"], answer["content"]))
    return chats


CHATS = read_chats()


@pytest.mark.parametrize(("question", "answer"), CHATS)
def test_every_answer_has_the_form_of_the_examples_voice(question: str, answer: str) -> None:
    assert question == question.strip() != ""
    match = FORM.fullmatch(answer)
    assert match, answer
    assert match["time"] < "24:00"
    numbers = [line.split(".")[0] for line in match["bearings"].splitlines()]
    assert numbers == [str(n + 1) for n in range(len(numbers))]
    degrees = [int(line.split()[2].rstrip(":")) for line in match["bearings"].splitlines()]
    assert degrees == sorted(set(degrees))
    assert degrees[-1] < 360


def test_the_example_has_at_least_100_chats() -> None:
    assert len(CHATS) >= 100


@pytest.mark.parametrize(("question", "answer"), CHATS)
def test_chats_are_short(question: str, answer: str) -> None:
    # About 1.75 tokens a word here, so 70 tokens an answer and 110 a chat with the template's own.
    assert len(answer.split()) <= 44
    assert len(question.split()) <= 20


def test_remarks_and_bearings_are_unique() -> None:
    parts = [question for question, _ in CHATS]
    for _, answer in CHATS:
        match = FORM.fullmatch(answer)
        assert match
        parts.append(match["remark"])
        parts += [line.split(": ", 1)[1] for line in match["bearings"].splitlines()]
    assert len({part.casefold() for part in parts}) == len(parts)


def test_chats_are_not_near_duplicates() -> None:
    texts = [(question, answer.splitlines()[0][12:]) for question, answer in CHATS]
    for which in (0, 1):
        for one, other in combinations([text[which].casefold() for text in texts], 2):
            matcher = SequenceMatcher(None, one, other, autojunk=False)
            if matcher.quick_ratio() > 0.8:
                assert matcher.ratio() <= 0.8, (one, other)


def test_the_vocabulary_is_large() -> None:
    words = re.findall(r"[a-z]+", " ".join(answer for _, answer in CHATS).lower())
    assert len(set(words)) > 750


def test_the_example_trainers_are_valid() -> None:
    main, patient = load_trainers(EXAMPLE)
    assert (main["name"], main["rows"]) == ("lighthouse", len(CHATS))
    assert patient["name"] == "lighthouse-patient"
    assert main["config"]["model"] == patient["config"]["model"] == "smollm2-135m-instruct"
    rates = [dict(trainer["config"]).get("learningRate") for trainer in (main, patient)]
    assert rates == [1e-3, None]  # the second is by the model's size: 5e-4


def test_the_example_of_the_readme_is_valid(tmp_path: Path) -> None:
    found = re.search(
        r"^```toml\n(\[\[trainer\]\]\n.*?)`", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert found
    (tmp_path / "arkor.toml").write_text(found[1])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (trainer,) = load_trainers(tmp_path)
    assert "problem" not in trainer
    assert trainer["config"]["model"] == "smollm2-135m-instruct"
