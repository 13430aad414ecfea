"""One HTTP exchange over a bare socket: the bytes go out as they are, nothing is tidied up on the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came; ``headers`` has lower-case names and every line, repeats included."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of that name, or None; two of them are a fault."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None


async def exchange(port: int, sent: bytes, *, seconds: float = 30) -> RawAnswer:
    """Send ``sent`` and read one whole answer; TimeoutError when none comes."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(sent)
            await writer.drain()
            return await read_answer(reader, head_only=sent.startswith(b"HEAD "))
        finally:
            writer.close()


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> RawAnswer:
    """The next answer of a connection; a body without a length is read to the connection's end."""
    status_line = await reader.readline()
    assert status_line.startswith(b"HTTP/"), status_line
    headers = []
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    answer = RawAnswer(int(status_line.split()[1]), headers, b"")
    length = answer.header("content-length")
    if head_only or answer.status in (204, 304):
        return answer
    body = await (reader.read() if length is None else reader.readexactly(int(length)))
    return RawAnswer(answer.status, headers, body)
