class InvalidJob(ValueError):  # noqa: N818 - what it is called where jobs are published
    """A job that can never succeed as it is, refused before anything is sent.

    Args:
        field: dotted path of the field at fault, such as ``attributes.plan``; ``body`` for all of it.
        problem: what is wrong and what is expected: the limit and the size, never the value.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
