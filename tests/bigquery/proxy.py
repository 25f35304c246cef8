"""A small TCP proxy that cuts connections, as networks do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Stands between a client and a server on this machine.

    Parameters
    ----------
    port : int
        The server's.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._cuts: list[tuple[bytes, int]] = []
        self._drops: list[bytes] = []
        self.is_down = False
        self.n_cut = 0
        self.n_dropped = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_sending(self, after: bytes, n_bytes: int, *, times: int = 1) -> None:
        """Cut the connection when so many bytes were sent behind a text of the request; the rest never arrives."""
        self._cuts += [(after, n_bytes)] * times

    def drop_answer(self, to: bytes, *, times: int = 1) -> None:
        """Let a request that holds a text through, and cut the connection instead of its answer."""
        self._drops += [to] * times

    def mend(self) -> None:
        """Let everything through again."""
        self._cuts.clear()
        self._drops.clear()
        self.is_down = False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                state: dict[str, bool] = {"drop": False}
                for pump in (self._send, self._answer):
                    threading.Thread(target=pump, args=(client, server, state), daemon=True).start()

    def _send(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        seen = b""
        with suppress(OSError):
            while data := client.recv(8192):
                seen = (seen + data)[-2_000_000:]
                for text in list(self._drops):
                    if text in seen:
                        self._drops.remove(text)
                        state["drop"] = True
                        seen = b""
                for text, n_bytes in list(self._cuts):
                    place = seen.find(text)
                    if place >= 0 and len(seen) - place > n_bytes:
                        self._cuts.remove((text, n_bytes))
                        self.n_cut += 1
                        _close(client, server)
                        return
                server.sendall(data)
        _close(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while data := server.recv(8192):
                if state["drop"]:
                    self.n_dropped += 1
                    break
                client.sendall(data)
        _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
