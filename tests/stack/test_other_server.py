"""Customer.io may be any server that speaks its API: the real one, a proxy, somebody's own fake."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.stack.stack_helpers import running_stack, until

pytestmark = pytest.mark.slow

Requests = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture
def server() -> Iterator[tuple[str, Requests]]:
    received: Requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((self.path, self.headers["Authorization"].split()[0], body))
            answer = b'{"delivery_id": "elsewhere"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}", received
    made.shutdown()
    made.server_close()


def test_jobs_arrive_at_whatever_server_the_environment_names(server: tuple[str, Requests], tmp_path: Path) -> None:
    url, received = server
    with running_stack(tmp_path, {"CUSTOMERIO_TRACK_URL": url, "CUSTOMERIO_APP_URL": url}) as stack:
        assert "customer.io" not in stack.pids()
        stack.publish("cio-identify", {"identifiers": {"id": "1"}})
        stack.publish("cio-track", {"identifiers": {"id": "1"}, "name": "seen"})
        stack.publish("cio-send", {"to": "a@example.com", "identifiers": {"id": "1"}, "transactional_message_id": 1})
        until(lambda: len(received) >= 3, "three requests")
    found = {(path, scheme) for path, scheme, _ in received}
    assert found == {("/api/v2/batch", "Basic"), ("/v1/send/email", "Bearer")}
    items = {item["action"]: item for path, _, body in received if "batch" in path for item in body["batch"]}
    assert items["identify"]["identifiers"] == {"id": "1"}
    assert items["event"]["name"] == "seen"
    assert len(items["event"]["id"]) == 26
