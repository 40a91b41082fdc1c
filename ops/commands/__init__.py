"""The commands of ``python -m ops``, one module or package each."""
