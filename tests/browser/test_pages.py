from pathlib import Path
import asyncio
import pytest
pytestmark = pytest.mark.browser
async def test_look(tab, address):
    await tab.open(address + "/")
    await tab.picture(Path("/tmp/look/root.png"))
    await tab.open(address + "/docs")
    await asyncio.sleep(4)
    await tab.picture(Path("/tmp/look/docs0.png"))
    print(tab.requests, tab.complaints, (await tab.text())[:1500])
    await tab.click("#operations-bookings-request_booking .opblock-summary")
    await asyncio.sleep(2)
    await tab.picture(Path("/tmp/look/docs1.png"))
    await tab.click("[id='operations-webhooks_sent_to_you-on_booking_confirmed'] .opblock-summary")
    await asyncio.sleep(2)
    await tab.picture(Path("/tmp/look/docs2.png"))
    await tab.click(".auth-wrapper .authorize")
    await asyncio.sleep(2)
    await tab.picture(Path("/tmp/look/docs3.png"))
    print(tab.complaints, await tab.js("document.querySelector('.modal-ux').outerHTML.slice(0,6000)"))
