"""The page on a programme's figures: each document in it is asked for, and answered as shown."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.core.roles import Dsns
from app.rules.reporting import reporting_day_until
from tests.docs.dashboard import opened
from tests.docs.guide import DOCS
from tests.programme_counted import add_pilot
from tests.pupils_counted import TODAY, Counted

pytestmark = pytest.mark.calendar


async def test_every_document_is_answered_as_the_page_shows(dsns: Dsns, tmp_path: Path) -> None:
    names = {"LAST_MONTH": str(reporting_day_until(TODAY - timedelta(days=25)))}

    async def prepare(counted: Counted) -> None:
        names["PROGRAMME"] = str((await add_pilot(counted)).id)

    async with opened(dsns, tmp_path, prepare) as dashboard:
        assert await dashboard.follow(DOCS / "programme-figures.md", names) >= 5
