"""The push client against servers that keep to HTTP and servers that do not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from local.pubsub.push_client import PushClient

type Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


class Server:
    """Counts connections, and the requests on each."""

    def __init__(self, serve: Serve) -> None:
        self.connections = 0
        self._serve = serve
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[tuple[Server, PushClient]]:
    handler = Server(serve)
    server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=1024)
    client = PushClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/push?token=a")
    try:
        yield handler, client
    finally:
        await client.abort()
        server.close()
        await server.wait_closed()


def replying(*replies: bytes) -> Serve:
    """One reply per request, in pieces of a few bytes, then the connection stays open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            await read_request(reader)
            for start in range(0, len(reply), size := max(7, len(reply) // 100)):
                writer.write(reply[start : start + size])
                await writer.drain()
        await reader.read()

    return serve


async def post(client: PushClient, body: bytes = b"{}", timeout: float = 10) -> int | None:  # noqa: ASYNC109 - the client's
    on_answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    client.post(body, timeout=timeout, on_answer=on_answer.set_result)
    return await on_answer


async def test_a_request_is_a_json_post() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(NO_CONTENT)
        await reader.read()

    async with serving(serve) as (_, client):
        assert await post(client, b'{"a": 1}') == 204

    head, body = seen[0]
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /push?token=a HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert b"Content-Type: application/json" in lines
    assert body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 503\r\ncontent-length:0\r\n\r\n", 503),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + NO_CONTENT, 204),
    ],
)
async def test_a_connection_is_used_again_after_a_whole_response(reply: bytes, status: int) -> None:
    async with serving(replying(reply, reply, reply)) as (server, client):
        statuses = [await post(client) for _ in range(3)]

    assert statuses == [status] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"HTTP/1.1 102 Processing\r\n\r\n", 102),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + b"x" * 70_000, 200),
        (NO_CONTENT + NO_CONTENT, 204),
        (b"HTTP/1.1 500 Oh\r\n\r\nuntil the end", 500),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ntoo much", 200),
        (b"SMTP ready\r\n\r\n", None),
        (b"HTTP/1.1 abc\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000, None),
    ],
)
async def test_a_connection_is_given_up_after_any_other_response(reply: bytes, status: int | None) -> None:
    async with serving(replying(reply, NO_CONTENT)) as (server, client):
        statuses = [await post(client), await post(client)]

    assert statuses == [status, status]
    assert server.connections == 2


async def test_a_response_cut_short_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")

    async with serving(serve) as (_, client):
        assert await post(client) is None


async def test_a_refused_connection_is_no_answer() -> None:
    async with serving(replying()) as (_, client):
        pass

    assert await post(client) is None


async def test_a_slow_answer_is_cut_off() -> None:
    cut_off = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        with suppress(ConnectionResetError):
            await reader.read()
        cut_off.set()

    async with serving(serve) as (_, client):
        assert await post(client, timeout=0.05) is None
        await asyncio.wait_for(cut_off.wait(), 10)


async def test_a_connection_the_server_closed_is_not_used_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(NO_CONTENT)

    async with serving(serve) as (server, client):
        assert await post(client) == 204
        await asyncio.wait_for(client._all_closed.wait(), 10)
        assert await post(client) == 204

    assert server.connections == 2


async def test_requests_at_the_same_time_have_a_connection_each() -> None:
    everyone = asyncio.Barrier(300)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await everyone.wait()
        writer.write(NO_CONTENT)
        await reader.read()

    async with serving(serve) as (server, client):
        statuses = await asyncio.gather(*(post(client) for _ in range(300)))

    assert statuses == [204] * 300
    assert server.connections == 300


async def test_a_retired_client_finishes_what_it_has_begun() -> None:
    retired = asyncio.Event()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await retired.wait()
        writer.write(NO_CONTENT)
        await reader.read()
        done.set()

    async with serving(serve) as (server, client):
        in_flight = asyncio.ensure_future(post(client))
        while not server.connections:  # noqa: ASYNC110 - the server's callback, no event to wait for
            await asyncio.sleep(0)
        client.retire()
        retired.set()

        assert await in_flight == 204
        await asyncio.wait_for(done.wait(), 10)
