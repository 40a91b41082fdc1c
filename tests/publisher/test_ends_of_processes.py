"""No job is lost in silence when a process ends: each case is a script of its own, run as an application runs it."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.local_pubsub.broker_helpers import ROOT, PubSub
from tests.publisher.test_publishing import open_topic

NOBODY_LISTENS = "127.0.0.1:9"


@pytest.fixture
def project() -> str:
    return f"project-{uuid.uuid4().hex[:12]}"


def environment(host: str, project: str) -> dict[str, str]:
    return {**os.environ, "PUBSUB_EMULATOR_HOST": host, "GOOGLE_CLOUD_PROJECT": project, "PYTHONPATH": str(ROOT)}


def run(script: str, tmp_path: Path, host: str, project: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "script.py"
    path.write_text(script)
    return subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        env=environment(host, project),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def published(pubsub: PubSub, subscription: str, count: int) -> list[bytes]:
    """Pull exactly ``count`` messages, acknowledging them on the way."""
    data: list[bytes] = []
    while len(data) < count:
        received = pubsub.pull(subscription)
        pubsub.ack(subscription, *received)
        data += [each.message.data for each in received]
    assert pubsub.pull_once(subscription) == []
    return data


SCRIPT = """
from shared import Publisher
publisher = Publisher(%s)
for number in range(40):
    publisher.identify("42", number=number)
    publisher.identify(f"person-{number}", plan="pro")
    publisher.track("42", "order_placed", {"total": 3})
"""


def test_what_waits_at_the_end_of_a_script_is_published(pubsub: PubSub, project: str, tmp_path: Path) -> None:
    people, events = open_topic(pubsub, project, "cio-identify"), open_topic(pubsub, project, "cio-track")
    done = run(SCRIPT % "", tmp_path, pubsub.host, project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(published(pubsub, events, 40)) == 40
    numbers = [data for data in published(pubsub, people, 80) if b'"42"' in data]
    assert [int(data.split(b'"number":')[1].strip(b"}")) for data in numbers] == list(range(40))


def test_a_wrong_project_is_named_once_per_topic_and_ends_in_status_1(
    pubsub: PubSub, project: str, tmp_path: Path
) -> None:
    done = run(SCRIPT % "", tmp_path, pubsub.host, project)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    missing = "does not exist. Check the project (GOOGLE_CLOUD_PROJECT or Publisher(project))"
    # One line per reason, however many jobs it met; those behind the first of a person have a reason of their own.
    assert len(lines) == len(set(lines)) <= 4, done.stderr
    assert all(line.endswith("(Logged once for this reason.)") for line in lines[:-1])
    assert all(f"projects/{project}/topics/cio-{kind} {missing}" in done.stderr for kind in ("identify", "track"))
    assert lines[-1].startswith("customerio_jobs: 120 of 120 jobs were not published: the topic projects/")


def test_closing_does_not_hide_a_failure(pubsub: PubSub, project: str, tmp_path: Path) -> None:
    script = "from shared import Publisher\nwith Publisher() as publisher:\n    publisher.track('42', 'order_placed')\n"
    done = run(script + "print(publisher.close())", tmp_path, pubsub.host, project)
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert "1 of 1 jobs were not published" in done.stderr


@pytest.mark.parametrize(
    "script",
    [
        "publisher = Publisher()\nassert publisher.track('42', 'bought').exception()",
        "publisher = Publisher(on_error=lambda job: print(job.kind))\npublisher.track('42', 'bought')",
    ],
    ids=["asked for", "given to on_error"],
)
def test_a_failure_that_the_application_was_told_of_leaves_the_exit_status_to_it(
    pubsub: PubSub, project: str, tmp_path: Path, script: str
) -> None:
    done = run(f"from shared import Publisher\n{script}\n", tmp_path, pubsub.host, project)
    assert done.returncode == 0, done.stderr
    assert "jobs were not published" not in done.stderr


def test_other_exit_hooks_run_before_a_lost_job_sets_the_status(pubsub: PubSub, project: str, tmp_path: Path) -> None:
    script = (
        "import atexit\natexit.register(print, 'first hook')\n" + SCRIPT % "" + "atexit.register(print, 'last hook')\n"
    )
    done = run(script, tmp_path, pubsub.host, project)
    assert (done.returncode, done.stdout) == (1, "last hook\nfirst hook\n")


def test_an_unreachable_pubsub_holds_the_exit_no_longer_than_it_may(project: str, tmp_path: Path) -> None:
    done = run(SCRIPT % "exit_timeout=0.5", tmp_path, NOBODY_LISTENS, project)
    assert done.returncode == 1
    assert "customerio_jobs: 120 of 120 jobs were not published: Pub/Sub has not answered" in done.stderr
    assert "Check the network, and PUBSUB_EMULATOR_HOST" in done.stderr


WAITING = """
import signal, sys, time
from shared import Publisher
%s
publisher = Publisher()
for number in range(40):
    publisher.identify(f"person-{number}", plan="pro")
print("published", flush=True)
while True:
    time.sleep(1)
"""


@pytest.mark.parametrize(
    ("handler", "status", "told"),
    [
        ("", 143, ""),
        ("def stop(*_):\n    print('stopped')\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, stop)", 0, "stopped\n"),
    ],
    ids=["no handler", "a handler of the application's own"],
)
def test_sigterm_publishes_what_waits(
    pubsub: PubSub, project: str, tmp_path: Path, handler: str, status: int, told: str
) -> None:
    people = open_topic(pubsub, project, "cio-identify")
    path = tmp_path / "script.py"
    path.write_text(WAITING % handler)
    with subprocess.Popen(
        [sys.executable, path],
        env=environment(pubsub.host, project),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (status, told, "")
    assert len(published(pubsub, people, 40)) == 40


FORKED = """
import os, sys
from shared import Publisher
publisher = Publisher()
parents = publisher.track("parent", "before")%s
if os.fork() == 0:
    publisher.track("child", "after")
    %s
    sys.exit(0)
status = os.wait()[1]
publisher.track("parent", "after")
publisher.close(20)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("used", ["", "\nparents.result(20)"], ids=["with jobs that wait", "after it was used"])
@pytest.mark.parametrize("end", ["", "publisher.close(20)"], ids=["at exit", "closed"])
def test_a_forked_child_publishes_its_own_jobs_and_no_other(
    pubsub: PubSub, project: str, tmp_path: Path, used: str, end: str
) -> None:
    events = open_topic(pubsub, project, "cio-track")
    done = run(FORKED % (used, end), tmp_path, pubsub.host, project)
    assert done.returncode == 0, done.stderr
    told = sorted(data.decode() for data in published(pubsub, events, 3))
    assert [("child" in each, "before" in each) for each in told] == [(True, False), (False, False), (False, True)]


def test_a_child_of_multiprocessing_publishes_at_its_end(pubsub: PubSub, project: str, tmp_path: Path) -> None:
    events = open_topic(pubsub, project, "cio-track")
    script = """
import multiprocessing
from shared import Publisher
publisher = Publisher()
child = multiprocessing.get_context("fork").Process(target=lambda: publisher.track("child", "bought"))
child.start()
child.join(30)
print(child.exitcode)
"""
    done = run(script, tmp_path, pubsub.host, project)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert len(published(pubsub, events, 1)) == 1


def test_a_parents_waiting_job_fails_at_once_in_the_child(tmp_path: Path, project: str) -> None:
    script = """
import os
from shared import Publisher
publisher = Publisher(exit_timeout=0)
job = publisher.track("42", "bought")
if os.fork() == 0:
    print(type(job.exception(20)).__name__, publisher.close(20), flush=True)
    os._exit(0)
os.wait()
os._exit(0)
"""
    done = run(script, tmp_path, NOBODY_LISTENS, project)
    assert (done.returncode, done.stdout) == (0, "RuntimeError 0\n"), done.stderr
