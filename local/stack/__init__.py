"""The whole product on one machine: ``Stack`` starts every part, watches it and stops it."""

from local.stack.stack import Stack, StackError

__all__ = ["Stack", "StackError"]
