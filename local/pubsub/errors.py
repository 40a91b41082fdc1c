import grpc


class ApiError(Exception):
    """An error status that Pub/Sub would answer a request with.

    Args:
        code: The gRPC status. REST answers the HTTP status that belongs to it.
        message: The text for the client. Names the field and the limit, never a payload.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    return ApiError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(resource: str) -> ApiError:
    return ApiError(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={resource}).")


def already_exists(resource: str) -> ApiError:
    return ApiError(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists in the project (resource={resource}).")


def unimplemented(feature: str) -> ApiError:
    return ApiError(grpc.StatusCode.UNIMPLEMENTED, f"The local broker does not implement {feature}.")
