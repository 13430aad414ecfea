"""How workers on several machines give each other what NCCL needs to connect."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from arkor_dev.local.training.distributed.links import Links
from arkor_dev.local.training.distributed.process_group import store_for_nccl
from arkor_dev.local.training.distributed.rendezvous import Rendezvous

HOST = "127.0.0.1"


@pytest.mark.timeout(60)
def test_nccl_workers_find_the_store_of_rank_0() -> None:
    with socket.create_server((HOST, 0)) as listener:
        first = Rendezvous(0, 2, HOST, HOST, listener.getsockname()[1], "secret", listener)
        meetings = [first, replace(first, rank=1, listener=None)]
        with ThreadPoolExecutor(2) as pool:
            links = list(pool.map(Links, meetings))
            stores = list(pool.map(store_for_nccl, meetings, links))
    stores[0].set("id", "of NCCL")
    assert stores[1].get("id") == b"of NCCL"
    assert stores[0].port == stores[1].port != first.port
