"""The App API's read client against a server that answers as told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops import deadlines
from ops.app_api import AppAPI
from ops.errors import OperatorError, UnreachableError
from ops.target import Target

Answer = tuple[int, Any]
DONE = {"export": {"id": 7, "status": "done", "failed": False}}


class Server:
    """Answers each request with the next of its path's answers; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str, bool]] = []
        self.bodies: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.respond()

            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.respond()

            def respond(self) -> None:
                outer.requests.append((self.command, self.path, "Authorization" in self.headers))
                answers = outer.answers[self.path.partition("?")[0]]
                status, body = answers.pop(0) if len(answers) > 1 else answers[0]
                text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("APP_API_PAUSE_SECONDS", "EXPORT_MIN_PAUSE_SECONDS"):
        monkeypatch.setattr(deadlines, name, 0.01)
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def api(server: Server, **more: str) -> AppAPI:
    environment = {"CUSTOMERIO_REGION": "us", "CUSTOMERIO_APP_URL": server.url, "CUSTOMERIO_APP_API_KEY": "new,old"}
    return AppAPI(Target("p", "", {**environment, **more, "PUBSUB_EMULATOR_HOST": "here"}))


def test_an_export_is_waited_for_and_downloaded_without_the_key(server: Server, tmp_path: Path) -> None:
    pending = {"export": {"id": 7, "status": "pending", "failed": False}}
    server.answers = {
        "/v1/exports/customers": [(429, {}), (503, "down"), (200, pending)],
        "/v1/exports/7": [(200, pending), (500, {}), (200, DONE)],
        "/v1/exports/7/download": [(200, {"url": f"{server.url}/file.csv"})],
        "/file.csv": [(200, "id,email\n1,a@example.com\n")],
    }
    with api(server) as client:
        client.export_people(["plan"], tmp_path / "export")
    assert (tmp_path / "export").read_text() == "id,email\n1,a@example.com\n"
    assert server.bodies[-1]["attributes"] == ["plan"]
    assert all(has_key == (path != "/file.csv") for _, path, has_key in server.requests)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({"/v1/exports/7": [(200, {"export": {"status": "failed", "failed": True}})]}, "Export 7 failed"),
        ({"/v1/exports/7/download": [(200, {})]}, "has no download link"),
        ({"/v1/exports/customers": [(403, {})]}, "lacks the scope"),
        ({"/v1/exports/customers": [(401, {})]}, "must be an App API key"),
        ({"/v1/exports/customers": [(200, "<html>")]}, "without a JSON object"),
        ({"/file.csv": [(403, "expired")]}, "cannot be downloaded"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    server: Server, tmp_path: Path, answers: dict[str, list[Answer]], text: str
) -> None:
    server.answers = {
        "/v1/exports/customers": [(200, DONE)],
        "/v1/exports/7": [(200, DONE)],
        "/v1/exports/7/download": [(200, {"url": f"{server.url}/file.csv"})],
        "/file.csv": [(200, "id\n")],
        **answers,
    }
    with api(server) as client, pytest.raises(OperatorError, match=text):
        client.export_people([], tmp_path / "export")


def test_an_outage_ends_after_a_while(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "APP_API_RETRY_SECONDS", 0.05)
    server.answers = {"/v1/messages": [(503, "")]}
    with api(server) as client, pytest.raises(UnreachableError, match="answers 503"):
        list(client.messages(1, 2))
    with api(server, CUSTOMERIO_APP_URL="http://127.0.0.1:9") as client, pytest.raises(UnreachableError):
        list(client.messages(1, 2))


def test_pages_of_messages_are_followed_to_the_end(server: Server) -> None:
    server.answers = {
        "/v1/messages": [(200, {"messages": [{"id": "a"}], "next": "x"}), (200, {"messages": None, "next": "y"})]
    }
    with api(server) as client:
        assert list(client.messages(1, 2)) == [{"id": "a"}]
    assert [path for _, path, _ in server.requests] == [
        "/v1/messages?limit=1000&start_ts=1&end_ts=2",
        "/v1/messages?limit=1000&start_ts=1&end_ts=2&start=x",
    ]


def test_a_missing_key_or_region_is_named(server: Server) -> None:
    with pytest.raises(OperatorError, match="CUSTOMERIO_APP_API_KEY is not set"):
        api(server, CUSTOMERIO_APP_API_KEY="")
    with pytest.raises(OperatorError, match="--region"):
        api(server, CUSTOMERIO_REGION="")
