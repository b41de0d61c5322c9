"""What the guides list is what there is: codes, scopes, events, settings, commands, links; their programs run."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import typer.main
from pydantic_core import PydanticUndefined
from pydantic_core.core_schema import ErrorType

from app.cli import cli
from app.rest.problems import _CODES, code_of
from app.settings import Settings
from app.webhooks.signing import HmacKey, PrivateKey, sign, signing_key
from tests.docs.codes import codes
from tests.docs.conftest import Desk
from tests.docs.guide import DOCS, ROOT, blocks
from tests.docs.tables import TABLES, with_table
from tests.world import World

pytestmark = pytest.mark.calendar

PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), ROOT / "openapi" / "CHANGELOG.md"])
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([a-z][a-z0-9_]+)`")


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_a_table_made_from_the_code_is_up_to_date(name: str) -> None:
    page, now, wanted = with_table(name)
    assert now == wanted, f"{page.name}: run `python -m tests.docs.tables`"


def _listed() -> set[str]:
    """The codes in the first column of the tables of errors.md, and the validator's own below them."""
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in _CODE.findall(row)}


def test_every_code_of_the_source_is_explained_and_none_that_is_not_there() -> None:
    said = {code for code, where in codes().items() if where != {"core/egress.py"}} | set(_CODES.values())
    said.add("refused")  # problems.py: what the HTTP layer refuses without a code of ours
    listed = _listed()
    assert sorted(said - listed) == [], "codes without a line in docs/errors.md"
    assert sorted(listed - said) == [], "lines of docs/errors.md without a code in the source"


def test_none_of_the_validators_own_words_is_said() -> None:
    said = {code_of(word) for word in get_args(ErrorType)}
    assert sorted(said - _listed()) == []
    assert not said & {word for word in get_args(ErrorType) if word not in {"too_long", "too_short"}}


def test_every_setting_is_in_the_operators_table_with_its_default() -> None:
    text = (DOCS / "operator.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `TENDAYS_")]
    table = {row[0].strip("| `"): row[1] for row in rows if len(row) == 3}
    assert sorted(table) == sorted(f"TENDAYS_{name.upper()}" for name in Settings.model_fields)
    for name, default in _defaults():
        shown = table[f"TENDAYS_{name.upper()}"].strip("`")
        assert shown == default, f"TENDAYS_{name.upper()}"


def _defaults() -> Iterator[tuple[str, str]]:
    for name, one in Settings.model_fields.items():
        if one.default not in (None, "", PydanticUndefined) and not isinstance(one.default, Path):
            yield name, one.default if isinstance(one.default, str) else json.dumps(one.default)


def test_every_command_that_is_named_exists() -> None:
    known = set(typer.main.get_group(cli).commands)
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"`tendays ([a-z]+)", text)) <= known
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|\s)make ([a-z]+)(?=`|\s{2,}#|$)", text, re.MULTILINE)) <= targets


def test_every_route_that_is_named_exists(world: World) -> None:
    paths = [re.sub(r"\{[^}]+\}", "{}", path) for path in world.app.openapi()["paths"]]
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = re.findall(r"`(?:GET|POST|PUT|PATCH|DELETE) (/v1[^`?\s]*)", text)
    assert len(named) > 15
    for path in named:
        assert re.sub(r"\{[^}]+\}", "{}", path) in paths, path


def test_no_page_names_a_path_of_somebodys_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(work|root|home|tmp)/", page.read_text(encoding="utf-8")), page.name


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in _LINK.findall(text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


# --- the programs of webhooks.md ------------------------------------------------------------------

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="
OTHER = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
BODY = '{"id":"x","type":"booking.confirmed","name":"Zoë"}'.encode()


def _cases() -> dict[str, tuple[Mapping[str, str], bytes, bool]]:
    now = int(time.time())
    ours, other = signing_key(SECRET), signing_key(OTHER)
    private = PrivateKey.from_bytes(bytes(range(32)))
    assert isinstance(ours, HmacKey)

    def headers(stamp: int, *keys: HmacKey | PrivateKey) -> dict[str, str]:
        signature = sign("evt-1", stamp, BODY, keys)
        return {"webhook-id": "evt-1", "webhook-timestamp": str(stamp), "webhook-signature": signature}

    good = headers(now, ours)
    return {
        "good": (good, BODY, True),
        "four minutes old": (headers(now - 240, ours), BODY, True),
        "during a rotation": (headers(now, other, ours), BODY, True),
        "beside ed25519": (headers(now, private, ours), BODY, True),
        "six minutes old": (headers(now - 360, ours), BODY, False),
        "six minutes ahead": (headers(now + 360, ours), BODY, False),
        "another secret": (headers(now, other), BODY, False),
        "ed25519 alone": (headers(now, private), BODY, False),
        "another body": (good, BODY + b" ", False),
        "another id": (good | {"webhook-id": "evt-2"}, BODY, False),
        "another time": (good | {"webhook-timestamp": str(now - 1)}, BODY, False),
        "a cut signature": (good | {"webhook-signature": good["webhook-signature"][:-2]}, BODY, False),
        "not ASCII": (good | {"webhook-signature": "v1,Zoë"}, BODY, False),
    }


@pytest.mark.parametrize("case", _cases())
def test_the_python_of_the_guide_believes_what_it_should(case: str) -> None:
    (program,) = blocks(DOCS / "webhooks.md", "python")
    module: dict[str, Any] = {}
    exec(program.text, module)  # noqa: S102  (what the reader would copy)
    headers, body, believed = _cases()[case]
    assert module["verify"](SECRET, headers, body) is believed


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_javascript_of_the_guide_believes_what_it_should(tmp_path: Path) -> None:
    (program,) = blocks(DOCS / "webhooks.md", "javascript")
    (tmp_path / "verify.mjs").write_text(program.text, encoding="utf-8")
    cases = {name: [headers, body.decode()] for name, (headers, body, _) in _cases().items()}
    script = (
        "import { verify } from './verify.mjs'; const told = {};"
        f"for (const [name, [headers, body]] of Object.entries({json.dumps(cases)}))"
        f" told[name] = verify({json.dumps(SECRET)}, headers, Buffer.from(body));"
        "console.log(JSON.stringify(told))"
    )
    (tmp_path / "run.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == {name: believed for name, (_, _, believed) in _cases().items()}


# --- the programs of operator.md ------------------------------------------------------------------


async def test_the_operators_questions_are_answered(desk: Desk) -> None:
    for block in blocks(DOCS / "operator.md", "sql"):
        rows = await desk.world.owner.fetch(block.text)
        assert all(row[0] in (None, 0, True) for row in rows), block.text


async def test_the_operators_first_clients_can_sign_in(world: World) -> None:
    """Every `tendays client` of the guide, as it stands there."""
    (script,) = (one.text for one in blocks(DOCS / "operator.md", "sh") if "tendays client" in one.text)
    (shown,) = (one.text for one in blocks(DOCS / "operator.md", "json") if "client_secret" in one.text)
    for line in script.strip().splitlines():
        asked = shlex.split(line.replace("$ID", str(world["employer_a"])))
        made = json.loads(await _tendays(world, *asked[1:]))
        assert made.keys() == json.loads(shown).keys()
        proof = httpx.BasicAuth(made["client_id"], made["client_secret"])
        answer = await world.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=proof)
        assert answer.status_code == 200, answer.text
    assert made["organisation_id"] == str(world["employer_a"])


async def test_the_operators_keys_are_rotated_by_the_commands_of_the_guide(world: World) -> None:
    named = re.findall(r"^\| `tendays (keys [^`]+)`", (DOCS / "operator.md").read_text(), re.MULTILINE)
    assert len(named) == 4
    first = json.loads(await _tendays(world, "keys", "list"))[-1]["kid"]
    for line in named:
        await _tendays(world, *line.replace("KID", first).split())
    kids = [one["kid"] for one in json.loads(await _tendays(world, "keys", "list"))]
    assert len(kids) == 2
    assert first not in kids


async def test_a_keys_id_that_begins_with_a_hyphen_is_an_id_and_no_option(world: World) -> None:
    settings = {
        "TENDAYS_ENV": "test",
        "TENDAYS_OWNER_DATABASE_URL": world.dsns.owner,
        "TENDAYS_DATA_DIR": str(world.data_dir),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "keys", "retire", "-tLbXz_EQJwO0yjBTpdHbM1Ych8JcTwIgjTiMFYDi0c",
        cwd=ROOT, stderr=subprocess.PIPE, env={**os.environ, **settings},
    )  # fmt: skip
    _, told = await process.communicate()
    assert process.returncode == 1
    assert "no such key" in told.decode().lower()


async def _tendays(world: World, *asked: str) -> str:
    named = {
        "TENDAYS_ENV": "test",
        "TENDAYS_OWNER_DATABASE_URL": world.dsns.owner,
        "TENDAYS_DATA_DIR": str(world.data_dir),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", *asked, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **named}
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, asked
    return out.decode()
