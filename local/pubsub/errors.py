import grpc


class Refused(Exception):  # noqa: N818 - an answer to the client, not a fault of the broker
    """A request that Pub/Sub would answer with an error status.

    Args:
        code: the gRPC status the client sees.
        reason: its text; names the field and the limit, never a payload.
    """

    def __init__(self, code: grpc.StatusCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def invalid(reason: str) -> Refused:
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason)


def not_found(what: str) -> Refused:
    return Refused(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={what}).")


def already_exists(what: str) -> Refused:
    return Refused(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists in the project (resource={what}).")


def unsupported(what: str) -> Refused:
    return Refused(grpc.StatusCode.UNIMPLEMENTED, f"The local broker does not offer {what}.")
