"""The one error that a job's checks raise."""


class InvalidJob(ValueError):  # noqa: N818 - the name that applications catch
    """A job that can never succeed as it is, refused before anything is sent.

    Args:
        field: Dotted path of the field at fault, e.g. ``attributes.plan``; ``body`` for the whole.
        problem: What is wrong and what is expected: the limit and the size, never the value.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
