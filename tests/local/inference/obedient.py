"""A worker that answers each question with how many it was asked, without a model."""

from __future__ import annotations

import itertools

from arkor_dev.local.inference.messages import Answered, Ask, Done, StopAnswer, Text
from arkor_dev.local.workers.link import Link

ENDLESS = "endless"
"""The name of a model whose answers do not end."""


def main() -> None:
    link = Link({StopAnswer: lambda _: None})
    for count in itertools.count(1):
        question = link.receive(Ask)
        link.send(Answered(question.id, Text(str(count))))
        if question.request.name != ENDLESS:
            link.send(Answered(question.id, Done("stop")))


if __name__ == "__main__":
    main()
