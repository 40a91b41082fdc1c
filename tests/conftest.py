import pytest

from tests.bigquery_process import bigquery_server

__all__ = ["bigquery_server"]  # a fixture of every folder

# Folders whose tests start whole stacks and servers go first, so that no core is left with one of them at the end.
_LONG = ("stack", "faults", "examples", "warehouse", "ops", "house", "local_pubsub")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=rank)
