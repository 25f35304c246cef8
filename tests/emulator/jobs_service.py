"""A service that knows jobs and nothing else: as BigQuery's REST pages promise them, ending as a test wants them to.

The emulator has no CREATE MODEL. What is asked here is not what a training comes to, but what Google's client sends of
one, how it waits, what it makes of an end that is none of ours, and that nothing is trained twice. It runs in the
test's own process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

__all__ = ["Ending", "JobsService", "jobs_service"]

_MESSAGES = {"notFound": 404, "duplicate": 409, "accessDenied": 403}


@dataclass
class Ending:
    """How a job goes.

    Parameters
    ----------
    n_polls : int
        How often it is asked for before it is done; -1: it never is, unless it is cancelled.
    reason, message : str
        Of its error; it succeeds if there is none.
    loses_answer : bool
        Whether the answer to the request that starts it is lost.
    """

    n_polls: int = 0
    reason: str = ""
    message: str = ""
    loses_answer: bool = False


@dataclass
class JobsService:
    """What was asked of it.

    Parameters
    ----------
    endings : list of Ending
        Of the jobs to come, in their order; later ones succeed at once.
    jobs : dict of str to dict
        The bodies that started a job, by its id, in their order.
    cancelled : list of str
        The ids of jobs that somebody cancelled.
    """

    address: str = ""
    endings: list[Ending] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    ends: dict[str, Ending] = field(default_factory=dict)
    on_poll: threading.Event = field(default_factory=threading.Event)

    @property
    def statements(self) -> list[str]:
        """The statements of the jobs."""
        return [job["configuration"]["query"]["query"] for job in self.jobs.values()]

    def begin(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        job_id = body["jobReference"]["jobId"]
        if job_id in self.jobs:
            return 409, _error("duplicate", f"Already Exists: Job {job_id}")
        self.jobs[job_id] = body
        self.ends[job_id] = self.endings.pop(0) if self.endings else Ending()
        return 200, self.told(job_id)

    def told(self, job_id: str) -> dict[str, Any]:
        """Return the job as jobs.get has it."""
        body, end = self.jobs[job_id], self.ends[job_id]
        is_done = end.n_polls == 0
        status: dict[str, Any] = {"state": "DONE" if is_done else "RUNNING"}
        if is_done and end.reason:
            status["errorResult"] = {"reason": end.reason, "message": end.message}
            status["errors"] = [status["errorResult"]]
        return {
            "kind": "bigquery#job",
            "id": f"p:US.{job_id}",
            "jobReference": {"projectId": "p", "jobId": job_id, "location": "US"},
            "configuration": {**body["configuration"], "jobType": "QUERY"},
            "statistics": {"query": {"statementType": "CREATE_MODEL", "totalBytesProcessed": "4096"}},
            "status": status,
        }

    def poll(self, job_id: str) -> None:
        """Let a job come nearer to its end."""
        end = self.ends[job_id]
        end.n_polls -= end.n_polls > 0
        self.on_poll.set()

    def results(self, job_id: str) -> tuple[int, dict[str, Any]]:
        self.poll(job_id)
        end = self.ends[job_id]
        if end.n_polls == 0 and end.reason:
            return _MESSAGES.get(end.reason, 400), _error(end.reason, end.message)
        reference = {"projectId": "p", "jobId": job_id, "location": "US"}
        return 200, {"jobReference": reference, "jobComplete": end.n_polls == 0, "schema": {}, "totalRows": "0"}

    def cancel(self, job_id: str) -> tuple[int, dict[str, Any]]:
        self.cancelled.append(job_id)
        self.ends[job_id] = Ending(0, "stopped", "Job execution was cancelled: User requested cancellation")
        return 200, {"job": self.told(job_id)}


def _error(reason: str, message: str) -> dict[str, Any]:
    return {"error": {"code": 0, "message": message, "errors": [{"reason": reason, "message": message}]}}


@contextmanager
def jobs_service() -> Iterator[JobsService]:
    """Run the service until the block ends."""
    found = JobsService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            *_, kind, name = urlparse(self.path).path.split("/")
            if kind == "datasets":
                self._answer(200, {"datasetReference": {"projectId": "p", "datasetId": name}, "location": "US"})
            elif kind == "queries":
                self._answer(*found.results(name))
            elif kind == "jobs":
                found.poll(name)
                self._answer(200, found.told(name))
            else:
                self._answer(404, _error("notFound", f"Not found: {self.path}"))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlparse(self.path).path.split("/")
            if parts[-1] == "cancel":
                self._answer(*found.cancel(parts[-2]))
                return
            code, told = found.begin(json.loads(body))
            job_id = json.loads(body)["jobReference"]["jobId"]
            if code == 200 and found.ends[job_id].loses_answer:
                self.close_connection = True
                self.connection.close()
                return
            self._answer(code, told)

        def _answer(self, code: int, told: dict[str, Any]) -> None:
            content = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
