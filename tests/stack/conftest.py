from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.local_pubsub.broker_helpers import google_emulator, google_emulator_process
from tests.stack.stack_helpers import RunningStack, running_stack


@pytest.fixture(scope="session", params=["local broker", pytest.param("Google's emulator", marks=pytest.mark.slow)])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack over each Pub/Sub in turn: the same things have to hold."""
    with ExitStack() as held:
        given = {}
        if request.param == "Google's emulator":
            script = google_emulator()
            if script is None:
                pytest.skip("Google's Pub/Sub emulator is not installed: gcloud components install pubsub-emulator")
            given["PUBSUB_EMULATOR_HOST"] = held.enter_context(google_emulator_process(script))
        yield held.enter_context(running_stack(tmp_path_factory.mktemp("stack"), given))
