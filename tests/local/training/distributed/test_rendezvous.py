"""Where workers meet: at one address alone, held from the first moment, and only where there are several."""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.execution.messages import GroupMember, Meeting
from arkor_dev.local.training.distributed.rendezvous import Rendezvous
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from arkor_dev.local.workers.codec import Message


class Link:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[Message] = []

    def send(self, message: Message) -> None:
        self.said.append(message)


def meeting_of(group: GroupMember | None) -> tuple[Rendezvous | None, list[Message]]:
    link = Link()
    return Rendezvous.of(group, link), link.said  # type: ignore[arg-type]


def test_a_single_worker_needs_no_rendezvous() -> None:
    assert meeting_of(None) == (None, [])


def test_rank_0_listens_on_its_own_address_only() -> None:
    meeting, said = meeting_of(GroupMember(0, 2, "127.0.0.3", "secret"))
    assert meeting
    assert meeting.listener
    with meeting.listener:
        assert said == [Meeting(meeting.port)], "and not its token"
        assert "secret" not in repr(meeting)
        assert meeting.listener.getsockname() == ("127.0.0.3", meeting.port)
        with pytest.raises(ConnectionRefusedError):  # and no other test can have this one
            socket.create_connection(("127.0.0.203", meeting.port), 60)
        socket.create_connection(("127.0.0.3", meeting.port), 60).close()
        with pytest.raises(OSError, match="in use"):  # nobody else can be taken for it
            socket.create_server(("127.0.0.3", meeting.port))


def test_other_ranks_connect_to_rank_0() -> None:
    told = GroupMember(1, 2, "127.0.0.4", "secret", "127.0.0.3", 4321)
    meeting, said = meeting_of(told)
    assert "secret" not in repr(told)
    assert meeting == Rendezvous(1, 2, "127.0.0.4", "127.0.0.3", 4321, "secret")
    with pytest.raises(ValueError, match="token"):
        meeting_of(replace(told, token=""))
    assert said == []


def test_local_workers_meet_on_a_private_socket() -> None:
    meeting, said = meeting_of(GroupMember(0, 2))
    assert meeting
    assert meeting.listener
    assert meeting.folder
    with meeting.listener:
        assert said == [Meeting(meeting.address)]
        assert meeting.listener.family == socket.AF_UNIX
        folder = Path(meeting.address).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        other, _ = meeting_of(GroupMember(1, 2, address=meeting.address))
        assert other
        assert other.private
        meeting.store.touch()
        assert other.store == meeting.store
    meeting.folder.remove()
    assert not folder.exists()


def test_a_batch_needs_a_row_per_worker() -> None:
    meeting = Rendezvous(1, 4, "127.0.0.4", "127.0.0.3", 4321)
    meeting.check(4)
    with pytest.raises(JobFailure, match="set batch_size to 4 or more, or workers to 3 or less"):
        meeting.check(3)
