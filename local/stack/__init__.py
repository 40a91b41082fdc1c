"""The whole product on one machine: ``stack.Stack`` starts every part, watches it and stops it."""
