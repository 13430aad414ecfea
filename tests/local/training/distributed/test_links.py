"""Connections between the workers of a job: who is admitted, and how long a lost one is waited for."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
import torch

from arkor_dev.local.training.distributed import links
from arkor_dev.local.training.distributed.links import HEADER, NONCE, PROOF, Links
from arkor_dev.local.training.distributed.rendezvous import Rendezvous

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)
HOST = "127.0.0.1"


@pytest.fixture
def first() -> Iterator[Rendezvous]:
    """Where rank 0 of two workers listens."""
    with socket.create_server((HOST, 0)) as listener:
        yield Rendezvous(0, 2, HOST, HOST, listener.getsockname()[1], "secret", listener)


def other(first: Rendezvous, rank: int = 1) -> Rendezvous:
    return replace(first, rank=rank, listener=None)


def connected(*meetings: Rendezvous) -> list[Links]:
    with ThreadPoolExecutor(len(meetings)) as pool:
        return list(pool.map(Links, meetings))


def test_sums_and_broadcasts_reach_every_worker(first: Rendezvous) -> None:
    first = replace(first, count=3)
    workers = connected(first, other(first), other(first, 2))

    def work(rank: int) -> tuple[list[float], list[float], object]:
        summed, sent = torch.full((300_000,), float(rank + 1)), torch.full((3,), float(rank))
        workers[rank].all_reduce(summed)
        workers[rank].broadcast(sent)
        return summed[:2].tolist(), sent.tolist(), workers[rank].broadcast_value({"step": rank})

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [([6.0, 6.0], [0.0] * 3, {"step": 0})] * 3


def test_a_peer_without_the_token_is_refused(first: Rendezvous, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "UNPROVEN", 3)
    monkeypatch.setattr(links, "ATTEMPTS", 1)
    with ThreadPoolExecutor(1) as pool:
        gathering = pool.submit(Links, first)
        silent = [socket.create_connection((HOST, first.port)) for _ in range(9)]
        with socket.create_connection((HOST, first.port)) as guessing:
            guessing.settimeout(10)
            assert len(guessing.recv(NONCE, socket.MSG_WAITALL)) == NONCE
            guessing.sendall((1).to_bytes(HEADER) + bytes(NONCE + PROOF))
            assert guessing.recv(1) == b"", "nothing is answered"
        with pytest.raises(ConnectionError, match="accepts no connection"):
            Links(replace(other(first), token="wrong"))
        assert not gathering.done()
        second = Links(other(first))
        rank_0 = gathering.result()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, first.port))
        for stranger in silent:
            stranger.settimeout(10)
            assert len(stranger.recv(1000)) <= NONCE
            stranger.close()
        sending = pool.submit(rank_0.broadcast_value, 5)
        assert second.broadcast_value(None) == sending.result() == 5


def test_an_impersonated_first_worker_is_refused(first: Rendezvous) -> None:
    def impersonate() -> None:
        assert first.listener
        connection, _ = first.listener.accept()
        with connection:
            connection.sendall(bytes(NONCE))
            connection.recv(HEADER + NONCE + PROOF, socket.MSG_WAITALL)
            connection.sendall(bytes(PROOF))

    impostor = threading.Thread(target=impersonate)
    impostor.start()
    with pytest.raises(PermissionError, match="another program"):
        Links(other(first))
    impostor.join()


def test_a_silent_worker_times_out_but_a_busy_one_does_not(
    first: Rendezvous, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "LIMIT_SECONDS", 0.5)
    monkeypatch.setattr(links, "LIFE_SECONDS", 0.05)
    rank_0, second = connected(first, other(first))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.broadcast_value, None)
        time.sleep(1)  # rank 0 evaluates
        assert rank_0.broadcast_value("done") == "done" == waiting.result()
    monkeypatch.setattr(links, "LIFE_SECONDS", 60)  # as if both were stopped
    with pytest.raises(TimeoutError):
        second.broadcast_value(None)


def test_a_missing_worker_times_out(first: Rendezvous, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "ARRIVAL_SECONDS", 0.1)
    with pytest.raises(TimeoutError, match="did not come"):
        Links(first)
