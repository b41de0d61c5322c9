"""The root page and the API docs in a real browser: rendered whole, usable, and content with this server alone."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.access.service import NewClient
from app.rest.rendition import WEBHOOKS, operations
from tests.browser.chromium import Tab
from tests.world import World

pytestmark = pytest.mark.browser

BOOKINGS = "#operations-bookings-list_bookings"


async def count(tab: Tab, selector: str) -> int:
    return int(await tab.js(f"document.querySelectorAll({json.dumps(selector)}).length"))


async def opened(tab: Tab, address: str) -> None:
    await tab.open(f"{address}/docs")
    await tab.until("document.querySelectorAll('.opblock').length > 0")


async def tried(tab: Tab, operation: str) -> tuple[int, Any]:
    """Open an operation, try it, and read the status and the body in the page."""
    await tab.click(f"{operation} .opblock-summary-control")
    await tab.click(f"{operation} .try-out__btn")
    await tab.click(f"{operation} .execute")
    await tab.until(f"document.querySelector('{operation} .live-responses-table .response-col_status')")
    status = await tab.js(
        f"document.querySelector('{operation} .response-col_status:not(.col_header)').innerText"
    )
    body = await tab.js(f"document.querySelector('{operation} .live-responses-table .microlight').innerText")
    return int(str(status).split()[0]), json.loads(body)


async def test_the_root_page_leads_to_the_docs_the_explorer_and_the_contract(tab: Tab, address: str) -> None:
    await tab.open(address)
    links = await tab.js("[...document.links].map(one => one.pathname)")
    assert {"/docs", "/graphql", "/openapi.json"} <= set(links)
    for path in links:
        await tab.open(address + path)
        assert tab.answers[address + path] == 200


async def test_every_operation_and_every_webhook_is_rendered(tab: Tab, address: str, world: World) -> None:
    await opened(tab, address)
    contract = world.app.openapi()
    every = operations(contract)
    await tab.until(
        f"document.querySelectorAll('.opblock').length === {len(every) + len(contract['webhooks'])}"
    )
    tags = await tab.js("[...document.querySelectorAll('.opblock-tag')].map(one => one.dataset.tag)")
    assert set(tags) == {tag for one in every for tag in one["tags"]} | {WEBHOOKS}
    text = await tab.text()
    assert [one["summary"] for one in every if one["summary"] not in text] == []
    assert "Ask for places" in text
    assert [name for name in contract["webhooks"] if name not in text] == []


async def test_an_operation_and_a_webhook_show_an_example_of_their_body(tab: Tab, address: str) -> None:
    await opened(tab, address)
    asking, told = (
        "#operations-bookings-request_booking",
        f"[id='operations-{WEBHOOKS.replace(' ', '_')}-on_booking_confirmed']",
    )
    for operation, member in ((asking, "slot_id"), (told, "booking_id")):
        await tab.click(f"{operation} .opblock-summary-control")
        await tab.until(
            f'document.querySelector("{operation} .body-param__example")?.innerText.includes("{member}")'
        )
    assert await count(tab, f"{asking} .try-out") == 1
    assert not await tab.js(f'document.querySelector("{told} .try-out").checkVisibility()')  # nothing to try
    assert await count(tab, ".errors-wrapper") == 0


async def test_a_client_authorises_with_its_secret_and_tries_a_request(
    tab: Tab, address: str, school: NewClient, world: World
) -> None:
    booked = await world.booking()
    await opened(tab, address)
    await tab.click(".auth-wrapper .authorize")
    await tab.type("#client_id", str(school.id))
    await tab.type("#client_secret", school.secret.secret if school.secret else "")
    await tab.click(".auth-container:has(#client_id) .authorize")
    await tab.until("document.querySelector('.modal-ux').innerText.includes('Logout')")
    await tab.click(".modal-ux .close-modal")
    status, body = await tried(tab, BOOKINGS)
    assert status == 200
    assert booked["id"] in {one["id"] for one in body["data"]}


async def test_a_wrong_secret_is_refused_in_the_page_and_not_by_a_dialogue_of_the_browser(
    tab: Tab, address: str, school: NewClient
) -> None:
    await opened(tab, address)
    await tab.click(".auth-wrapper .authorize")
    await tab.type("#client_id", str(school.id))
    await tab.type("#client_secret", "guessed")
    await tab.click(".auth-container:has(#client_id) .authorize")
    await tab.until("document.querySelector('.errors-wrapper')?.innerText.includes('credentials do not fit')")
    assert " 401 " in tab.complaints.pop()


async def test_a_pasted_token_is_good_enough_and_every_post_gets_a_key_of_its_own(
    tab: Tab, address: str, world: World
) -> None:
    await opened(tab, address)
    await tab.click(".auth-wrapper .authorize")
    await tab.type(".auth-container:not(:has(#client_id)) input", world.token("school_a"))
    await tab.click(".auth-container:not(:has(#client_id)) .authorize")
    await tab.until("document.querySelector('.modal-ux').innerText.includes('Logout')")
    await tab.click(".modal-ux .close-modal")
    status, _ = await tried(tab, BOOKINGS)
    assert status == 200
    keys = "[0, 1].map(() => prepared({headers: {[KEY]: [...exampleKeys][0]}}).headers[KEY])"
    first, second = await tab.js(keys)
    assert len({first, second, *await tab.js("[...exampleKeys]")}) == 3
    assert await tab.js("prepared({headers: {[KEY]: 'my own'}}).headers[KEY]") == "my own"
    assert await tab.js("localStorage.length + sessionStorage.length") == 0


async def test_a_refusal_is_shown_in_the_page(tab: Tab, address: str) -> None:
    await opened(tab, address)
    status, body = await tried(tab, BOOKINGS)
    assert (status, body["code"]) == (401, "token_missing")
    assert "401" in tab.complaints.pop()


async def test_the_page_may_neither_load_nor_ask_anything_elsewhere(tab: Tab, address: str) -> None:
    await opened(tab, address)
    elsewhere = "https://cdn.example/swagger-ui.js"
    assert await tab.js(
        f"new Promise(done => Object.assign(document.head.appendChild(document.createElement('script')),"
        f" {{src: '{elsewhere}', onload: () => done(false), onerror: () => done(true)}}))"
    )
    assert await tab.js(f"fetch('{elsewhere}').then(() => false, () => true)")
    assert await tab.js("(() => { try { return !new Function('return 1') } catch { return true } })()")
    assert all("Content Security Policy" in one or "'script-src'" in one for one in tab.complaints)
    assert {urlsplit(one).hostname for one in tab.strangers} == {
        "cdn.example"
    }  # tried, and stopped at the policy
    tab.complaints.clear()
    tab.requests.clear()


async def test_a_request_to_another_host_would_be_noticed(tab: Tab, address: str) -> None:
    await tab.open(f"{address}/health")  # a page without a policy
    assert await tab.js("fetch('https://cdn.example/swagger-ui.js').then(() => false, () => true)")
    assert [urlsplit(one).hostname for one in tab.strangers] == ["cdn.example"]
    assert "ERR_NAME_NOT_RESOLVED" in tab.complaints.pop()
    tab.requests.clear()
