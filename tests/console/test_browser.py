"""The console in a real browser, on a stack that just started: what its first user does."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.browser import SCREENSHOTS, chromium, console_page
from tests.stack.stack_helpers import RunningStack, running_stack, until

pytestmark = pytest.mark.slow

SOON = 30_000  # milliseconds; on a machine that runs other tests too


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:  # noqa: ARG001
    with running_stack(tmp_path_factory.mktemp("console"), {"STACK_TIME_SCALE": "20"}) as running:
        yield running


@pytest.fixture
def page(browser: Browser, stack: RunningStack) -> Iterator[Page]:
    with console_page(browser, stack.environment["CONSOLE_URL"]) as opened:
        yield opened


def publish(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        page.locator(f"#field-{name}").fill(text)
    page.get_by_role("button", name="Publish", exact=True).click()


def test_an_empty_stack_says_how_to_begin(page: Page) -> None:
    expect(page.locator(".start")).to_contain_text("Publish your first job")
    command = page.locator("#first-job").inner_text()
    assert command.startswith(".venv/bin/python -m ops publish send --person 42")
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("getSelection().toString()") == command
    page.locator("#field-to").fill("")
    page.locator("#field-to").press("Control+V")
    expect(page.locator("#field-to")).to_have_value(command, timeout=SOON)
    page.screenshot(path=SCREENSHOTS / "empty-1280-light.png", full_page=True)


def test_an_email_is_published_with_the_form_and_watched_until_it_is_in_the_funnel(
    page: Page, stack: RunningStack
) -> None:
    publish(page, to="ada@example.com")
    expect(page.locator(".published")).to_contain_text("Published 1 send job", timeout=SOON)
    expect(page.locator(".start")).to_be_hidden()
    first = page.locator(".jobs tbody tr").first
    expect(first.locator(".outcome")).to_have_text("done", timeout=SOON)
    delivery = page.locator(".deliveries tbody tr", has_text="ada@example.com")
    expect(delivery).to_contain_text("opened", timeout=SOON)
    for stage in ("sent", "delivered", "opened"):
        count = (
            page.locator("figure", has_text="How far messages came").locator("tr", has_text=stage).locator(".number")
        )
        expect(count).to_have_text(re.compile("^[1-9]"), timeout=SOON)
    first.get_by_role("button", name=re.compile("^Trace of send job")).click()
    trace = page.get_by_role("dialog")
    [delivered] = stack.simulator("deliveries")
    expect(trace).to_contain_text(f"delivery {delivered['delivery_id']}", timeout=SOON)
    told = trace.locator(".steps b").all_inner_texts()
    assert told[:5] == ["published", "applied", "sent", "delivered", "opened"]
    page.screenshot(path=SCREENSHOTS / "trace-1280-light.png")
    page.keyboard.press("Escape")
    expect(trace).to_be_hidden()


def test_jobs_wait_while_customerio_is_down_and_finish_when_it_is_back(page: Page, stack: RunningStack) -> None:
    before = sum(stack.simulator("counts")["sends"].values())
    page.get_by_role("button", name="Down", exact=True).click()
    expect(page.get_by_role("button", name="Down", exact=True)).to_have_attribute("aria-pressed", "true")
    publish(page, to="ada@example.com", copies="50")
    expect(page.locator(".published")).to_contain_text("Published 50 send jobs", timeout=SOON)
    waiting = page.locator('.kinds [data-text="kind.send.waiting"]')
    expect(waiting).to_have_text("50", timeout=SOON)
    expect(page.locator(".picture.wide .customerio")).to_contain_text("Down")
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / "down-1280-light.png")
    page.get_by_role("button", name="Working", exact=True).click()
    expect(waiting).to_have_text("0", timeout=2 * SOON)
    assert sum(stack.simulator("counts")["sends"].values()) == before + 50
    expect(page.locator('[data-text="dead.total"]')).to_have_text("0")


def test_a_kind_is_paused_and_resumed(page: Page, stack: RunningStack) -> None:
    page.get_by_role("button", name="Pause track").click()
    expect(page.locator("#push-note")).to_have_text("track is paused. Its jobs wait until you resume it.", timeout=SOON)
    expect(page.locator("#push-track-words")).to_contain_text("paused by an operator", timeout=SOON)
    page.get_by_role("button", name="track", exact=True).click()
    expect(page.locator("#form-track")).to_be_visible()
    publish(page, identifiers="paused")
    expect(page.locator('.kinds [data-text="kind.track.waiting"]')).to_have_text("1", timeout=SOON)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / "paused-1280-light.png")
    page.get_by_role("button", name="Resume track").click()
    expect(page.locator("#push-note")).to_have_text("track pushes again.", timeout=SOON)
    expect(page.locator('.kinds [data-text="kind.track.waiting"]')).to_have_text("0", timeout=SOON)
    expect(page.get_by_role("button", name="Pause track")).to_be_visible()
    assert stack.simulator("counts")["items"]["person"]["event"] >= 1


def test_an_error_is_shown_at_its_field_which_gets_the_focus(page: Page) -> None:
    publish(page, to="", message_data='{"order": 1}')
    expect(page.locator("#field-to-error")).to_have_text("is required", timeout=SOON)
    expect(page.locator("#field-to")).to_be_focused()
    expect(page.locator("#field-to")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-message_data")).to_have_value('{"order": 1}')


def test_a_dead_letter_shows_its_payload_when_asked_and_is_replayed_or_discarded(
    page: Page, stack: RunningStack
) -> None:
    for plan in ("secret-1", "secret-2"):
        stack.publish("cio-identify", {"identifiers": {"id": "x" * 151}, "attributes": {"plan": plan}})
    rows = page.locator(".dead-letters tbody tr")
    expect(rows).to_have_count(2, timeout=SOON)
    expect(rows.first).to_contain_text("identifiers.id")
    assert "secret" not in page.content()
    rows.first.get_by_role("button", name=re.compile("^Show the payload")).click()
    expect(page.get_by_role("dialog")).to_contain_text("secret", timeout=SOON)
    page.get_by_role("button", name="Close").click()
    page.once("dialog", lambda dialog: dialog.accept())
    rows.first.get_by_role("button", name=re.compile("^Discard")).click()
    expect(page.locator("#dead-letter-note")).to_have_text("Discarded 1.", timeout=SOON)
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button", name=re.compile("^Replay")).click()
    # It still cannot succeed, so it comes back.
    expect(page.locator("#dead-letter-note")).to_have_text("Replayed 1.", timeout=SOON)
    expect(rows).to_have_count(1, timeout=SOON)


@pytest.mark.parametrize("kind", ["identify", "track", "broadcast", "sync"])
def test_every_kind_has_a_form_that_publishes(page: Page, kind: str) -> None:
    page.get_by_role("button", name=kind, exact=True).click()
    expect(page.get_by_role("button", name=kind, exact=True)).to_have_attribute("aria-pressed", "true")
    publish(page)
    expect(page.locator(".published")).to_contain_text(f"Published 1 {kind} job", timeout=SOON)


def test_live_updates_can_be_held(browser: Browser, page: Page, stack: RunningStack) -> None:
    newest = page.locator(".jobs tbody tr button").first
    expect(newest).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Hold").click()
    expect(page.locator("#live-state")).to_have_text("Held")
    held = newest.get_attribute("id")
    with console_page(browser, stack.environment["CONSOLE_URL"]) as other:
        stack.publish("cio-identify", {"identifiers": {"id": "held"}}, job_id="01JB0000000000000000000000")
        job = "#trace-01JB0000000000000000000000"
        expect(other.locator(job)).to_be_visible(timeout=SOON)
    assert newest.get_attribute("id") == held
    page.get_by_role("button", name="Hold").click()
    expect(page.locator(job)).to_be_visible(timeout=SOON)


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"hold", "switch-down", "kind-send", "field-to", "field-copies"} <= reached


@pytest.fixture(scope="module")
def busy(stack: RunningStack) -> RunningStack:
    """A stack with something on every part of the page."""
    stack.publish(
        "cio-identify", {"identifiers": {"id": "42"}, "attributes": {"email": "ada@example.com", "plan": "pro"}}
    )
    stack.publish("cio-identify", {"identifiers": {"id": "x" * 151}})
    for address in ("ada@example.com", "grace@example.com", "bounce@example.com", "unsubscribe@example.com"):
        for _ in range(3):
            stack.publish(
                "cio-send", {"to": address, "identifiers": {"id": "42"}, "transactional_message_id": 7}, channel="email"
            )
    until(lambda: len(stack.rows("metric = 'opened'")) >= 9, "events in BigQuery")
    return stack


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_width_or_colour_scheme_needs_sideways_scrolling(
    browser: Browser, busy: RunningStack, width: int, dark: bool
) -> None:
    with console_page(browser, busy.environment["CONSOLE_URL"], width=width, dark=dark) as page:
        expect(page.locator("figure", has_text="Why messages bounced").locator("tr").nth(1)).to_be_visible(timeout=SOON)
        expect(page.locator(".dead-letters tbody tr").first).to_be_visible(timeout=SOON)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # What does not fit into a part would be cut off there.
        cut_off = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth)"
        assert page.evaluate(f"{cut_off}.map(part => part.dataset.part)") == []
        page.screenshot(path=SCREENSHOTS / f"console-{width}-{'dark' if dark else 'light'}.png", full_page=True)


def test_nothing_moves_for_who_asked_for_less_motion(browser: Browser, stack: RunningStack) -> None:
    page = browser.new_page(reduced_motion="reduce")
    page.goto(stack.environment["CONSOLE_URL"])
    page.locator("#live-state.connected").wait_for()
    page.evaluate("document.querySelector('.edge').dataset.value = 'fast'")
    assert page.evaluate("getComputedStyle(document.querySelector('.edge')).animationName") == "none"
    page.close()
