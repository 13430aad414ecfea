"""A server of files on 127.0.0.1 that speaks FTP (RFC 959, 3659): what machines share by an address."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FtpServer(socketserver.ThreadingTCPServer):
    """Serves ``folder``. While ``silent`` is set it answers nothing; ``full`` lets no file be written."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.folder = folder
        self.silent, self.full = threading.Event(), threading.Event()
        self.said: list[str] = []
        self.talks: set[socket.socket] = set()

    @property
    def address(self) -> str:
        """Return the address of a folder that does not exist yet."""
        return f"ftp://127.0.0.1:{self.server_address[1]}/jobs"

    def hang_up(self) -> None:
        """Break every connection that there is."""
        for talk in list(self.talks):
            with contextlib.suppress(OSError):
                talk.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def ftp_server(folder: Path) -> Iterator[FtpServer]:
    """Serve ``folder`` meanwhile."""
    folder.mkdir(exist_ok=True)
    with FtpServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.silent.clear()
            server.shutdown()
            server.hang_up()
            thread.join()


class _Talk(socketserver.StreamRequestHandler):
    """One connection: a command a line, each answered by a line that begins with a number."""

    server: FtpServer

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # of ABOR one byte is urgent
        super().setup()
        self.server.talks.add(self.request)
        self._data: socket.socket | None = None
        self._offset = 0
        self._from: Path | None = None

    def finish(self) -> None:
        self.server.talks.discard(self.request)
        if self._data:
            self._data.close()
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._say("220 here")
            while line := self.rfile.readline(4096):
                name, _, rest = line.decode().strip().partition(" ")
                self.server.said.append(name.upper())
                if name.upper() == "QUIT":
                    self._say("221 bye")
                    return
                try:
                    self._say(self._answer(name.upper(), rest))
                except OSError as fault:
                    self._say(f"550 {type(fault).__name__}")

    def _say(self, line: str) -> None:
        while self.server.silent.is_set():
            time.sleep(0.02)
        self.wfile.write(f"{line}\r\n".encode())

    def _answer(self, name: str, rest: str) -> str:
        fixed: dict[str, Any] = {
            "USER": "331 and the password?", "PASS": "230 in", "TYPE": "200 so", "ABOR": "226 aborted",
        }  # fmt: skip
        if name in fixed:
            return str(fixed[name])
        command = getattr(self, f"_{name.lower()}", None)
        return str(command(rest)) if command else "502 not here"

    def _path(self, name: str) -> Path:
        path = (self.server.folder / name.lstrip("/")).resolve()
        if not path.is_relative_to(self.server.folder.resolve()):
            raise PermissionError(name)
        return path

    def _pasv(self, _: str) -> str:
        if self._data:
            self._data.close()
        self._data = socket.create_server(("127.0.0.1", 0))
        port = self._data.getsockname()[1]
        return f"227 at (127,0,0,1,{port >> 8},{port & 255})"

    @contextlib.contextmanager
    def _channel(self) -> Iterator[socket.socket]:
        assert self._data
        self._say("150 now")
        self._data.settimeout(30)
        channel, _ = self._data.accept()
        with channel:
            yield channel

    def _rest(self, offset: str) -> str:
        self._offset = int(offset)
        return "350 from there"

    def _mlsd(self, name: str) -> str:
        lines = [
            f"type={'dir' if path.is_dir() else 'file'};size={path.stat().st_size}; {path.name}\r\n"
            for path in self._path(name).iterdir()
        ]
        with self._channel() as channel:
            channel.sendall("".join(lines).encode())
        return "226 that was it"

    def _stor(self, name: str) -> str:
        if self.server.full.is_set():
            return "452 no room"
        offset, self._offset = self._offset, 0
        with self._path(name).open("r+b" if offset else "wb") as file, self._channel() as channel:
            file.seek(offset)
            while piece := channel.recv(1 << 16):
                file.write(piece)
        return "226 kept"

    def _retr(self, name: str) -> str:
        offset, self._offset = self._offset, 0
        with self._path(name).open("rb") as file:
            file.seek(offset)
            with self._channel() as channel:
                try:
                    channel.sendfile(file, offset)
                except ConnectionError:
                    return "426 you have left"
        return "226 all of it"

    def _dele(self, name: str) -> str:
        self._path(name).unlink()
        return "250 gone"

    def _mkd(self, name: str) -> str:
        self._path(name).mkdir()
        return f'257 "{name}"'

    def _rmd(self, name: str) -> str:
        self._path(name).rmdir()
        return "250 gone"

    def _rnfr(self, name: str) -> str:
        self._from = self._path(name)
        self._from.stat()
        return "350 to where?"

    def _rnto(self, name: str) -> str:
        assert self._from
        if self._path(name).exists():
            return "553 there is one"  # as some servers have it
        self._from.rename(self._path(name))
        return "250 moved"
