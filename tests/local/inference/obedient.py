"""A worker that answers each question with how many it was asked, without a model."""

from __future__ import annotations

import itertools

from arkor_dev.local.workers.link import Link


def main() -> None:
    link = Link({"stop": lambda _: None})
    for count in itertools.count(1):
        question = link.receive()
        link.send(id=question["id"], text=str(count))
        if not question.get("endless"):
            link.send(id=question["id"], done={"reason": "stop"})


if __name__ == "__main__":
    main()
