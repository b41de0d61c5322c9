"""The GraphQL explorer in a real browser: asks, shows figures and errors, and its schema can be searched."""

import json
from typing import Any

import pytest

from app.access.service import NewClient
from tests.browser.chromium import Tab
from tests.browser.conftest import PUPILS
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow_suite]


async def opened(tab: Tab, address: str, token: str = "") -> None:
    await tab.open(f"{address}/graphql")
    await tab.until("at('sdl').innerText.includes('type Coverage')")
    if token:
        await tab.type("#token", token)


async def answered(tab: Tab) -> Any:
    """Press Ask; what the page shows as the answer."""
    await tab.js("at('status').textContent = 'Nothing asked yet.'")
    await tab.click("#ask")
    await tab.until(r"/^\d{3} /.test(at('status').innerText)")
    return json.loads(await tab.js("at('answer').innerText"))


async def errors(tab: Tab) -> str:
    return str(await tab.js("at('errors').innerText"))


async def test_an_example_is_asked_with_a_pasted_token(
    tab: Tab, address: str, world: World, school: NewClient
) -> None:
    await opened(tab, address, world.token("school_a"))
    said = await answered(tab)
    (edge,) = said["data"]["coverage"]["edges"]
    assert (edge["node"]["label"], edge["node"]["figures"]["pupils"]) == ("School A", PUPILS)
    assert await errors(tab) == ""
    assert "statements" in await tab.js("at('status').innerText")


async def test_every_example_is_answered_without_an_error(
    tab: Tab, address: str, world: World, school: NewClient
) -> None:
    await opened(tab, address, world.token("trust"))
    for name in await tab.js("[...at('examples').options].map(one => one.value)"):
        await tab.js(
            f"at('examples').value = {json.dumps(name)}; at('examples').dispatchEvent(new Event('change'))"
        )
        said = await answered(tab)
        assert "errors" not in said, name
        assert said["data"], name


async def test_a_client_gets_its_token_in_the_page_and_its_secret_is_wiped(
    tab: Tab, address: str, school: NewClient
) -> None:
    await opened(tab, address)
    await tab.type("#client", str(school.id))
    await tab.type("#secret", school.secret.secret if school.secret else "")
    await tab.click("#sign-in button")
    await tab.until("at('token').value !== ''")
    assert "coverage:read" in await tab.js("at('signed').innerText")
    assert await tab.js("at('secret').value") == ""
    assert "data" in await answered(tab)


async def test_a_wrong_secret_a_missing_token_and_a_wrong_document_are_told_readably(
    tab: Tab, address: str, world: World, school: NewClient
) -> None:
    await opened(tab, address)
    await tab.type("#client", str(school.id))
    await tab.type("#secret", "guessed")
    await tab.click("#sign-in button")
    await tab.until("at('signed').innerText.startsWith('401: Client id and credentials do not fit')")
    await answered(tab)
    assert "Send a bearer token" in await errors(tab)
    await tab.type("#token", world.token("school_a"))
    await tab.type("#query", "query Wrong {\n  viewer { nonsense }\n}")
    await answered(tab)
    told = await errors(tab)
    assert "Cannot query field 'nonsense'" in told
    assert "line 2, column 12" in told
    await tab.type("#variables", "[1")
    await tab.click("#ask")
    await tab.until("at('status').innerText === 'The variables are not a JSON object.'")
    assert all(f" {status} " in one for status, one in zip((401, 401, 422), tab.complaints, strict=True))
    tab.complaints.clear()


async def test_the_schema_is_searched_and_what_is_found_is_marked(tab: Tab, address: str) -> None:
    await opened(tab, address)
    whole = await tab.js("at('sdl').innerText.length")
    await tab.type("#find", "at25hours")
    found = await tab.until("document.querySelectorAll('#sdl mark').length && at('sdl').innerText")
    assert "at25Hours" in found
    assert len(found) < whole / 2
    assert await tab.js(
        "[...document.querySelectorAll('#sdl mark')].every(one => /at25hours/i.test(one.innerText))"
    )
    await tab.type("#find", "no such thing")
    await tab.until("at('found').innerText.startsWith('0 of ')")
    await tab.js("at('find').value = ''; find()")
    assert await tab.js("at('sdl').innerText.length") == whole


async def test_the_answer_is_text_whatever_it_holds(tab: Tab, address: str, world: World) -> None:
    await opened(tab, address, world.token("school_a"))
    await tab.type("#query", 'query { viewer { a: nonsense(b: "<img src=x onerror=alert(1)>") } }')
    await answered(tab)
    assert await tab.js("document.querySelectorAll('main img').length") == 0
    assert " 422 " in tab.complaints.pop()
