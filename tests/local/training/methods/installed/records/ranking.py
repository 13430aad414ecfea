"""Record of a training method of the tests alone: rows of a question with a good and a bad answer."""

from __future__ import annotations

from typing import Any

from arkor_dev.data.forms import Content, Form
from arkor_dev.data.messages import turn
from arkor_dev.data.methods.record import MethodRecord
from arkor_dev.data.rows import RowError


def read(record: dict[str, Any]) -> Content:
    """Read ``{"question", "good", "bad"}``, all texts."""
    if not all(isinstance(record[key], str) for key in ("question", "good", "bad")):
        raise RowError("question, good and bad must be texts")
    return Content(turn(record["question"], record["good"]), extra={"bad": record["bad"]})


RECORD = MethodRecord(label="Ranking", forms={"ranking": Form("ranking", ("question", "good", "bad"), read)})
