"""``trace``: the life of a job, from its publishing to the last webhook about its message."""

import textwrap
from typing import Annotated

import typer

from ops import console
from ops.errors import OperatorError
from ops.jobs import read_person
from ops.option_groups import with_option_groups
from ops.story import Step, Story
from ops.story_sources import MAX_JOBS, Found, delivery_story, job_story, person_stories
from ops.target import Where
from shared.jobs.operation import person_key

_COLUMNS = 80


@with_option_groups
def trace(
    where: Where,
    job_id: Annotated[str | None, typer.Argument(help="The job, by its id or as logs and lists show it.")] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            help="The latest jobs about this person. A value with @ is an email address, any other an id; id:VALUE, "
            "email:VALUE and cio_id:VALUE say which.",
        ),
    ] = None,
    delivery: Annotated[
        str | None, typer.Option("--delivery", help="The job that became the message with this delivery id.")
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Tell the life of a job: each attempt and why it failed, the delivery id, every webhook, and where it waits."""
    if sum(given is not None for given in (job_id, person, delivery)) != 1:
        raise typer.BadParameter("give one of JOB_ID, --person and --delivery")
    target = where.target()
    if person is not None:
        found = person_stories(target, person_key(*read_person(person)))
    elif delivery is not None:
        found = delivery_story(target, delivery)
    else:
        found = job_story(target, job_id or "")
    for source, why in found.unavailable.items():
        console.note(f"{source} could not be asked: {why}")
    if not found.stories:
        raise OperatorError(_nothing(job_id, person, found))
    if as_json:
        _print_json(found, is_about_person=person is not None)
        return
    for story in found.stories:
        _print(story)
    if len(found.stories) == MAX_JOBS:
        console.note(f"The latest {MAX_JOBS} jobs. An earlier one: give its job id.")


def _nothing(job_id: str | None, person: str | None, found: Found) -> str:
    what = f"job {job_id}" if job_id is not None else "this person" if person is not None else "this delivery"
    if found.unavailable:
        return f"Nothing is known of {what} where it could be looked for; {' and '.join(found.unavailable)} is missing."
    return (
        f"Nothing is known of {what}. A job that was published a moment ago, or waits for its first attempt, has no "
        "record yet; of identify, track and sync jobs that succeeded only the share OUTCOMES_SAMPLE is kept."
    )


def _print_json(found: Found, *, is_about_person: bool) -> None:
    missing = {"unavailable": found.unavailable} if found.unavailable else {}
    documents = [story.document() for story in found.stories]
    console.print_json({"jobs": documents, **missing} if is_about_person else {**documents[0], **missing})


def _print(story: Story) -> None:
    title = f"{story.kind} job {story.job_id}" if story.job_id else "a message that no job here led to"
    console.out().print(console.plain(title), style="bold", soft_wrap=True)
    widest = max(len(step.what) for step in story.steps)
    for step in story.steps:
        for line in _lines(step, widest):
            console.out().print(console.plain(line), soft_wrap=True)
    console.out().print()


def _lines(step: Step, widest: int) -> list[str]:
    head = f"{console.clock_time(step.at)}  {step.what.ljust(widest)}"
    indent = " " * (len(head) + 2)
    # An id that is longer than the rest of the line stays in one piece: the terminal alone may break it.
    rest = textwrap.wrap(step.detail, _COLUMNS - len(indent), break_long_words=False, break_on_hyphens=False)
    first, *more = rest or [""]
    return [f"{head}  {first}".rstrip(), *(indent + line for line in more)]
