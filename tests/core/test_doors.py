"""A house that is full says so: a connection is waited for so long, and then the caller is told that nothing was done."""

import pytest

from app.core.db import Database, system
from app.core.errors import Overloaded
from app.core.roles import Dsns


async def test_who_gets_no_connection_in_time_is_told_so_at_both_doors(dsns: Dsns) -> None:
    db = await Database(dsns.worker, pool=1, wait=0.2).open()
    try:
        async with db.write(system()):
            with pytest.raises(Overloaded):
                async with db.write(system()):
                    raise AssertionError
        async with db.read(system()):
            with pytest.raises(Overloaded):
                async with db.read(system()):
                    raise AssertionError
        async with db.write(system()), db.read(system()):
            pass  # and it is given back
    finally:
        await db.close()
