"""Ctrl-C while an engine runs a statement.

Python looks at signals only between its own instructions, and an engine that runs for minutes may not come back to it
in between. The system writes each signal to a socket at once; a thread that reads it stops the statement.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable

__all__ = ["InterruptWatch"]


class InterruptWatch:
    """Calls ``stop`` from a thread of its own when the process gets SIGINT; does nothing outside the main thread.

    Parameters
    ----------
    stop : callable
        Stops the statement that is running, if one is; called with no lock held.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._previous: int | None = None
        if threading.current_thread() is not threading.main_thread():
            return
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="wml-interrupt", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the signals back to whoever had them."""
        if self._previous is None:
            return
        signal.set_wakeup_fd(self._previous)
        self._previous = None
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _watch(self) -> None:
        while number := self._reader.recv(1):
            if number[0] == signal.SIGINT:
                with contextlib.suppress(Exception):
                    self._stop()
