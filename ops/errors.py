"""Expected failures as one sentence each: what is wrong, where, and what to do."""

LOGIN_ADVICE = "run `gcloud auth application-default login`"


class OperatorError(Exception):
    """A failure that the operator can act on. Its text is the sentence to show."""


class UnreachableError(OperatorError):
    """A service does not answer. The text names its host."""


def sentence(error: BaseException) -> str | None:
    """Describe an error in one sentence; None for a fault of our own, which deserves its traceback."""
    # Imported here, because `--help` should not wait for them.
    from google.api_core.exceptions import GoogleAPIError, NotFound, RetryError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    match error:
        case OperatorError():
            return str(error)
        case GoogleAuthError():
            return f"Google accepts no credentials here ({type(error).__name__}): {LOGIN_ADVICE}."
        case RetryError(cause=cause):
            # The text of any other cause quotes objects of the transport.
            silence = f"No answer in time ({type(cause).__name__}): check that the service runs and can be reached."
            return (sentence(cause) if isinstance(cause, GoogleAPIError) else None) or silence
        case NotFound():
            return f"{_first_line(error)}: check --project and --environment, or run `python -m ops doctor`."
        case GoogleAPIError():
            return f"{_first_line(error)}."
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
