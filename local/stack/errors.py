class StackError(Exception):
    """The stack could not start, or a part that it needs has ended. The text is for the person at the terminal."""
