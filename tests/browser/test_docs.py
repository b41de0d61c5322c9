"""The root page and the API docs in a real browser: rendered whole, usable, and content with this server alone."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.access.service import NewClient
from app.rest.rendition import WEBHOOKS, operations
from tests.browser.chromium import Tab
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow_suite]

BOOKINGS = "#operations-bookings-list_bookings"
ASKING = "#operations-bookings-request_booking"
TOLD = f"[id='operations-{WEBHOOKS.replace(' ', '_')}-on_booking_confirmed']"
BY_SECRET, BY_TOKEN = ".auth-container:has(#client_id)", ".auth-container:not(:has(#client_id))"


async def count(tab: Tab, selector: str) -> int:
    return int(await tab.js(f"document.querySelectorAll({json.dumps(selector)}).length"))


async def opened(tab: Tab, address: str) -> None:
    await tab.open(f"{address}/docs")
    await tab.until("document.querySelectorAll('.opblock').length > 0")


async def tried(tab: Tab, operation: str) -> tuple[int, Any]:
    """Open an operation, try it, and read the status and the body in the page."""
    await tab.click(f"{operation} .opblock-summary-control")
    await tab.click(f"{operation} .try-out__btn")
    return await executed(tab, operation)


async def executed(tab: Tab, operation: str, expected: int | None = None) -> tuple[int, Any]:
    """Press Execute; with `expected` wait until that status has taken the place of the one before."""
    await tab.click(f"{operation} .execute")
    live = f"document.querySelector('{operation} .live-responses-table')"
    shown = f"{live}?.querySelector('tbody .response-col_status')?.innerText"
    status = await tab.until(
        f"{shown}{'' if expected is None else f'?.startsWith({str(expected)!r}) && {shown}'}"
    )
    return int(str(status).split()[0]), json.loads(
        await tab.js(f"{live}.querySelector('.microlight').innerText")
    )


async def signed_in(tab: Tab, form: str, **fields: str) -> None:
    """Fill a form of the dialogue that `Authorize` opens, and send it; `fields` by selector."""
    if not await tab.js("document.querySelector('.modal-ux') !== null"):
        await tab.click(".auth-wrapper .authorize")
    for name, text in fields.items():
        await tab.type(f"{form} {name}" if name == "input" else f"#{name}", text)
    await tab.click(f"{form} .authorize")


async def closed(tab: Tab) -> None:
    """Wait until the dialogue says that one is signed in, and close it."""
    await tab.until("document.querySelector('.modal-ux').innerText.includes('Logout')")
    await tab.click(".modal-ux .close-modal")


async def test_the_root_page_leads_to_the_docs_the_explorer_and_the_contract(tab: Tab, address: str) -> None:
    await tab.open(address)
    links = await tab.js("[...document.links].map(one => one.pathname)")
    assert {"/docs", "/graphql", "/openapi.json"} <= set(links)
    asked = "fetch(one, {headers: {Accept: 'text/html,*/*'}}).then(answer => answer.status)"
    assert await tab.js(f"Promise.all([...document.links].map(one => {asked}))") == [200] * len(links)


async def test_every_operation_and_webhook_is_rendered_with_an_example_of_its_body(
    tab: Tab, address: str, world: World
) -> None:
    contract = world.app.openapi()
    every = operations(contract)
    await opened(tab, address)
    await tab.until(
        f"document.querySelectorAll('.opblock').length === {len(every) + len(contract['webhooks'])}"
    )
    tags = await tab.js("[...document.querySelectorAll('.opblock-tag')].map(one => one.dataset.tag)")
    assert set(tags) == {tag for one in every for tag in one["tags"]} | {WEBHOOKS}
    text = await tab.text()
    assert "Ask for places" in text
    assert [one["summary"] for one in every if one["summary"] not in text] == []
    assert [name for name in contract["webhooks"] if name not in text] == []
    for operation, member in ((ASKING, "slot_id"), (TOLD, "booking_id")):
        await tab.click(f"{operation} .opblock-summary-control")
        body = f"document.querySelector({json.dumps(operation + ' .body-param__example')})"
        await tab.until(f"{body}?.innerText.includes('{member}')")
    assert await count(tab, f"{ASKING} .try-out") == 1
    webhook = f"document.querySelector({json.dumps(TOLD + ' .try-out')})"
    assert not await tab.js(f"{webhook}.checkVisibility()")  # there is nothing to try
    assert await count(tab, ".errors-wrapper") == 0


async def test_a_client_is_refused_without_a_token_and_with_a_wrong_secret_and_served_with_its_own(
    tab: Tab, address: str, school: NewClient, world: World
) -> None:
    booked = await world.booking()
    await opened(tab, address)
    status, body = await tried(tab, BOOKINGS)
    assert (status, body["code"]) == (401, "token_missing")
    # In the page: a dialogue of the browser's own would hold the answer back, and this would never come.
    await signed_in(tab, BY_SECRET, client_id=str(school.id), client_secret="guessed")
    await tab.until("document.querySelector('.errors-wrapper')?.innerText.includes('credentials do not fit')")
    assert [" 401 " in one for one in tab.complaints] == [True, True]
    tab.complaints.clear()
    await signed_in(tab, BY_SECRET, client_secret=school.secret.secret if school.secret else "")
    await closed(tab)
    status, body = await executed(tab, BOOKINGS, 200)
    assert booked["id"] in {one["id"] for one in body["data"]}


async def test_a_pasted_token_is_good_enough_and_every_post_gets_a_key_of_its_own(
    tab: Tab, address: str, world: World
) -> None:
    await opened(tab, address)
    await signed_in(tab, BY_TOKEN, input=world.token("school_a"))
    await closed(tab)
    status, _ = await tried(tab, BOOKINGS)
    assert status == 200
    keys = "[0, 1].map(() => prepared({headers: {[KEY]: [...exampleKeys][0]}}).headers[KEY])"
    assert len({*await tab.js(keys), *await tab.js("[...exampleKeys]")}) == 3
    assert await tab.js("prepared({headers: {[KEY]: 'my own'}}).headers[KEY]") == "my own"
    assert await tab.js("localStorage.length + sessionStorage.length") == 0


async def test_a_page_may_neither_load_nor_ask_anything_elsewhere_nor_make_code_of_text(
    tab: Tab, address: str
) -> None:
    await tab.open(address)
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
    }  # tried, stopped by the policy
    tab.complaints.clear()
    tab.requests.clear()


async def test_a_request_to_another_host_would_be_noticed(tab: Tab, address: str) -> None:
    await tab.open(f"{address}/health")  # a page without a policy
    assert await tab.js("fetch('https://cdn.example/swagger-ui.js').then(() => false, () => true)")
    assert [urlsplit(one).hostname for one in tab.strangers] == ["cdn.example"]
    assert "ERR_NAME_NOT_RESOLVED" in tab.complaints.pop()
    tab.requests.clear()
