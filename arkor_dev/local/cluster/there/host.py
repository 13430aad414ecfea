"""What runs on a node: an actor that is the place of one job, and then perhaps of another one.

Its start takes 0.7 s of processor time, Python and Ray twice. All that is known of a job is in its own
`Node`, made anew for each; who asks says of which job's place.
"""

from __future__ import annotations

from .node import Node


class Host:
    """The actor: the place ``name`` of a job, as `Node` has it. Every answer is bytes."""

    def __init__(self, job_id: str, name: str, nonce: str, away: float) -> None:
        self._name, self._node = name, Node(job_id, name, nonce, away)

    async def ask(self, name: str, what: str, *arguments: object) -> bytes:
        """What the method ``what`` of the place ``name`` answers. OSError where that is not here any more."""
        if name != self._name:
            raise OSError("this is another job's place")
        answer: bytes = await getattr(self._node, what)(*arguments)
        return answer

    async def again(self, before: str, job_id: str, name: str, nonce: str, away: float) -> bytes:
        """Be another job's place, once the one of the place ``before`` is over: `Node.facts` of that."""
        if before != self._name or not self._node.closed:
            raise OSError("its job is not over")
        self._node.followed()
        self._name, self._node = name, Node(job_id, name, nonce, away)
        return await self._node.facts()
