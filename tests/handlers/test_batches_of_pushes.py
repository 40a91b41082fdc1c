"""Many pushes in one request to Customer.io: each is answered by the fate of its own job."""

import asyncio
import json

import pytest
from aiohttp import web

from tests.customerio.conftest import Answer, reset, status
from tests.handlers.handler_helpers import Around, Function, Push

THE_FOURTH = {"batch_index": 3, "reason": "invalid", "field": "attributes.plan", "message": "cannot be that long"}


def person(number: int) -> Push:
    return Push({"identifiers": {"id": f"person-{number}"}}, {"job_id": f"j{number}"})


async def push_all(function: Function, count: int = 50) -> list[int]:
    return await asyncio.gather(*(function.push(person(n)) for n in range(count)))


async def test_a_207_for_item_3_of_50_dead_letters_that_job_and_acks_all(identify: Function, around: Around) -> None:
    around.upstream.then(status(207, {"errors": [THE_FOURTH]}))
    assert await push_all(identify) == [204] * 50
    [batch] = around.upstream.batches()
    assert len(batch) == 50
    [(_, data, attributes)] = around.pubsub.published
    assert json.loads(data)["identifiers"] == batch[3]["identifiers"]
    assert attributes["job_id"] == batch[3]["identifiers"]["id"].replace("person-", "j")
    assert around.dead_letter() == {
        "class": "rejected",
        "reason": "invalid",
        "status": "207",
        "field": "attributes.plan",
        "message": "cannot be that long",
    }


async def test_where_the_dead_letter_cannot_be_kept_only_that_job_comes_again(
    identify: Function, around: Around
) -> None:
    around.pubsub.down = True
    around.upstream.then(status(207, {"errors": [THE_FOURTH]}))
    answers = await push_all(identify)
    assert sorted(answers) == [204] * 49 + [503]


def refusing(number: int, code: int, explanation: object) -> Answer:
    """Refuses a batch that holds this person, in words that do not name the item."""

    async def answer(_request: web.Request, body: bytes) -> web.StreamResponse:
        holds = any(item["identifiers"]["id"] == f"person-{number}" for item in json.loads(body)["batch"])
        return web.json_response(explanation, status=code if holds else 200)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        refusing(7, 400, {"errors": [{"reason": "parse", "message": "bad"}]}),
        refusing(7, 413, {}),
        refusing(7, 207, {"errors": [{"reason": "parse", "message": "bad"}]}),
        refusing(7, 207, {"errors": [{"batch_index": "7", "message": "bad"}]}),
        refusing(7, 207, {"errors": [{"batch_index": 900, "message": "bad"}]}),
        refusing(7, 207, ["something else"]),
    ],
    ids=["400", "413", "no index", "index as text", "index out of range", "another shape"],
)
async def test_a_refusal_that_names_no_item_is_traced_to_it(identify: Function, around: Around, answer: Answer) -> None:
    around.upstream.then(*[answer] * 30)
    assert await push_all(identify) == [204] * 50
    [(_, data, _)] = around.pubsub.published
    assert json.loads(data) == {"identifiers": {"id": "person-7"}}


@pytest.mark.parametrize(("answer", "expected"), [(status(500), 503), (status(429), 429), (status(401), 503)])
async def test_what_concerns_the_request_concerns_all_of_them(
    identify: Function, around: Around, answer: Answer, expected: int
) -> None:
    around.upstream.then(*[answer] * 2)
    assert await push_all(identify) == [expected] * 50
    assert around.pubsub.published == []


async def test_a_dead_connection_costs_one_more_request(identify: Function, around: Around) -> None:
    around.upstream.then(reset)
    assert await push_all(identify) == [204] * 50
    assert around.upstream.bodies[0] == around.upstream.bodies[1]


async def test_jobs_of_one_person_are_applied_in_the_order_in_which_they_came(
    identify: Function, around: Around
) -> None:
    pushes = [
        Push({"identifiers": {"id": "42"}, "attributes": {"n": n}}, {"job_id": f"j{n}"}, ordering_key="id:42")
        for n in range(5)
    ]
    merge = Push({"action": "merge", "primary": {"id": "1"}, "secondary": {"id": "42"}}, {"job_id": "m"})
    assert set(await asyncio.gather(*map(identify.push, [*pushes, merge]))) == {204}
    applied = [item for batch in around.upstream.batches() for item in batch]
    assert [item.get("attributes", {}).get("n") for item in applied] == [0, 1, 2, 3, 4, None]
    assert all(len(batch) == 1 for batch in around.upstream.batches())
