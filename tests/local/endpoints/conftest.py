"""A store of the test's own, without a process."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.endpoints import deployments
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import Deployment, DeploymentTarget

BASE: DeploymentTarget = {"kind": "base_model", "baseModel": "tiny"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backend.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path, "local")) as store:
        yield store


@pytest.fixture
def make(store: Store) -> Callable[..., Deployment]:
    """Make a deployment; what is given goes before the usual."""

    def create(**more: Any) -> Deployment:
        body: Any = {"slug": "bot", "target": BASE, "authMode": "fixed_api_key", **more}
        return deployments.create(store, body)

    return create
