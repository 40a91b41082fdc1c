"""Secret Manager's gRPC service as far as it is used, in this process, for the official client."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.secretmanager import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    ListSecretVersionsRequest,
    ListSecretVersionsResponse,
    SecretPayload,
    SecretVersion,
)

State = SecretVersion.State
Version = tuple[str, bytes, int]
"""Name, value, state."""


@dataclass
class FakeSecretManager:
    """Secrets by name, each a list of versions, the oldest first.

    Args:
        down: status that every call is answered with, as if the service were broken or forbidden.
        access_down: the same for reading a value alone.
        gate: calls wait until it is set.
        calls: names of the methods that were called.
    """

    address: str = ""
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    down: grpc.StatusCode | None = None
    access_down: grpc.StatusCode | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def add(self, secret: str, value: str, state: int = State.ENABLED) -> str:
        versions = self.secrets.setdefault(secret, [])
        name = f"{secret}/versions/{len(versions) + 1}"
        versions.append((name, value.encode(), state))
        return name

    def disable(self, version: str) -> None:
        for versions in self.secrets.values():
            versions[:] = [(name, data, State.DISABLED if name == version else state) for name, data, state in versions]

    def client(self) -> SecretManagerServiceClient:
        channel = grpc.insecure_channel(self.address)
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))

    def _list(self, request: Any, context: grpc.ServicerContext) -> Any:
        versions = self._versions(request.parent, context)
        shown = [(n, s) for n, _, s in reversed(versions) if request.filter != "state:ENABLED" or s == State.ENABLED]
        start = int(request.page_token or 0)
        end = start + (request.page_size or 25000)
        return ListSecretVersionsResponse.pb(
            ListSecretVersionsResponse(
                versions=[SecretVersion(name=name, state=state) for name, state in shown[start:end]],
                next_page_token=str(end) if end < len(shown) else "",
                total_size=len(shown),
            )
        )

    def _access(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.access_down is not None:
            context.abort(self.access_down, "down")
        secret = request.name.partition("/versions/")[0]
        enabled = {name: data for name, data, state in self._versions(secret, context) if state == State.ENABLED}
        if request.name not in enabled:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "it is not enabled")
        payload = SecretPayload(data=enabled[request.name])
        return AccessSecretVersionResponse.pb(AccessSecretVersionResponse(name=request.name, payload=payload))

    def _add(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._versions(request.parent, context)
        name = self.add(request.parent, request.payload.data.decode())
        return SecretVersion.pb(SecretVersion(name=name, state=State.ENABLED))

    def _versions(self, secret: str, context: grpc.ServicerContext) -> list[Version]:
        if self.down is not None:
            context.abort(self.down, "down")
        if secret not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        return self.secrets[secret]

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "ListSecretVersions": self._handler(self._list, ListSecretVersionsRequest),
            "AccessSecretVersion": self._handler(self._access, AccessSecretVersionRequest),
            "AddSecretVersion": self._handler(self._add, AddSecretVersionRequest),
        }

    def _handler(self, method: Any, request: Any) -> grpc.RpcMethodHandler:
        def call(decoded: Any, context: grpc.ServicerContext) -> Any:
            self.calls.append(method.__name__.removeprefix("_"))
            self.gate.wait(10)
            return method(decoded, context)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=request.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


@contextmanager
def running_secret_manager() -> Iterator[FakeSecretManager]:
    fake = FakeSecretManager()
    server = grpc.server(ThreadPoolExecutor(4))
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, fake.handlers()),))
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield fake
    finally:
        fake.gate.set()
        server.stop(None).wait()
