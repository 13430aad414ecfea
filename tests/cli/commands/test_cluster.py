"""``arkor-dev cluster status``: what a person reads of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from arkor_dev.cli.commands.cluster import lines_of
from arkor_dev.cli.main import main
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.extras import quoted
from tests.support.fake_placement import ADDRESS_OF_IT, FREE, NODES

if TYPE_CHECKING:
    from pathlib import Path

LACKS = f"lacks torch: in the Python that Ray runs with, pip install {quoted('local')}"


def test_a_cluster_is_listed_with_its_nodes() -> None:
    cluster: Any = {
        "address": ADDRESS_OF_IT,
        "ray": "2.60.0",
        "python": "3.11.9",
        "nodes": NODES,
        "free": FREE,
    }
    silent = {"name": "10.0.0.7", "cpus": 1.0, "gpus": 0.0, "memory": 0, "problem": "it\x1b[31m broke"}
    assert list(lines_of(cluster | {"token": True, "nodes": [*NODES, silent]})) == [
        "ray://head:10001: Ray 2.60.0, Python 3.11.9, asks for a token",
        "free now: 6 processors, 1 GPU, 24.0 GiB",
        "  10.0.0.5: 4 processors, 1 GPU, 16.0 GiB; torch 2.13.0, transformers 5.24.0, peft 0.21.2",
        f"  10.0.0.6: 4 processors, 0 GPUs, 16.0 GiB; {LACKS}",
        "  10.0.0.7: 1 processor, 0 GPUs, 0.0 GiB; has not answered: it broke",
    ]
    assert next(lines_of(cluster)) == "ray://head:10001: Ray 2.60.0, Python 3.11.9"


@pytest.mark.parametrize(
    ("before", "typed", "agreed"),
    [
        ([], [], False),
        ([], [ADDRESS_OF_IT], True),
        (["start", "--managed", "--on", ADDRESS_OF_IT], [], True),
        (["start", "--managed", "--on", "ray://other:10001"], [], False),
    ],
)
def test_the_projects_cluster_is_not_contacted_without_consent(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: list[str],
    typed: list[str],
    agreed: bool,
) -> None:
    project = ["--project", str(tmp_path)]
    if before:  # there is no trainer to start
        assert main([*before, *project]) == 2
    contacted = Mock(side_effect=BadRequestError("contacted"))
    monkeypatch.setattr("arkor_dev.cli.commands.cluster.joined", contacted)
    (tmp_path / "arkor.toml").write_text(f'[compute]\ncluster = "{ADDRESS_OF_IT}"\n')
    assert main(["cluster", "status", *typed, *project]) == 2
    assert contacted.called == agreed
    assert ("Nobody has agreed" in capsys.readouterr().err) != agreed


def test_an_unusable_cluster_has_its_reason() -> None:
    assert list(lines_of({"address": ADDRESS_OF_IT, "problem": "Nobody\nanswers"})) == ["Nobody answers"]
