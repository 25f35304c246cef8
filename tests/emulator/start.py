"""Find, make and start the emulator.

``python -m tests.emulator.start`` makes its environment, which needs a package registry once; tests only look for it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PINS", "Emulator", "emulator", "emulator_python", "make_environment"]

PINS = (
    "bqemulator==1.4.0",
    "duckdb==1.5.5",
    "google-cloud-bigquery==3.47.0",
    "google-cloud-bigquery-storage==2.43.0",
    "numpy==2.4.6",
    "pyarrow==26.0.1",
    "pytz==2026.6",
)
MAKE = "python -m tests.emulator.start"
_SERVER = Path(__file__).with_name("server.py")
_START_SECONDS = 120


@dataclass(frozen=True)
class Emulator:
    """Where it listens."""

    rest_port: int
    grpc_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"


def environment_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    cache = Path(home) if home else Path.home() / ".cache"
    key = hashlib.sha256("\n".join(PINS).encode()).hexdigest()[:12]
    return cache / "warehouse-ml-tests" / f"bqemulator-{key}"


def emulator_python() -> Path | None:
    """Return the Python of the emulator's environment, or None if it has not been made."""
    named = os.environ.get("WML_EMULATOR_PYTHON")
    found = Path(named) if named else environment_folder() / "bin" / "python"
    return found if found.exists() else None


def make_environment() -> Path:
    """Make the environment, whole or not at all, and return its Python."""
    folder = environment_folder()
    if not folder.exists():
        staged = folder.with_name(f".{folder.name}-{os.getpid()}")
        uv = [sys.executable, "-m", "uv"] if _has_uv_module() else ["uv"]
        subprocess.run([*uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(staged)], check=True)
        command = [*uv, "pip", "install", "--quiet", "--no-config", "--python", str(staged / "bin" / "python"), *PINS]
        subprocess.run(command, check=True)
        staged.rename(folder)
    return folder / "bin" / "python"


@contextmanager
def emulator(python: Path, log: Path) -> Iterator[Emulator]:
    """Run the emulator, empty, until the block ends."""
    found = Emulator(_free_port(), _free_port())
    ports = ["--rest-port", str(found.rest_port), "--grpc-port", str(found.grpc_port)]
    with log.open("w") as sink:
        process = subprocess.Popen(
            [str(python), str(_SERVER), "start", *ports, "--ephemeral"], stdout=sink, stderr=sink
        )
    try:
        _wait(found, process, log)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(found: Emulator, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{found.address}/healthz", timeout=1):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the emulator did not start:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _has_uv_module() -> bool:
    import importlib.util

    return importlib.util.find_spec("uv") is not None


if __name__ == "__main__":
    print(make_environment())
