"""``make demo-data`` where there is nothing to fill: a sentence, and soon."""

import os
import subprocess
import sys

import pytest

from tests.docs.markdown import ROOT


def demo_data(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.demo", "month"],
        env={**os.environ, "GOOGLE_CLOUD_PROJECT": "p", "PUBSUB_EMULATOR_HOST": "127.0.0.1:9", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # far below the ten minutes for which Google's client tries again by itself
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "No local BigQuery is known: start the stack with `make run`, then try again."),
        (
            {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9", "BIGQUERY_DATASET": "customerio"},
            "BigQuery does not take rows of customerio.events (ConnectionError): start the stack with `make run`.",
        ),
    ],
)
def test_without_a_bigquery_it_says_what_to_do(environment: dict[str, str], said: str) -> None:
    done = demo_data(**environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == said
