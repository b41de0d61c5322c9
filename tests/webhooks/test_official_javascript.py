"""The official JavaScript library of Standard Webhooks agrees with our vectors and verifies what we sign now.

It is fetched from the npm registry, at a pinned version and without running its scripts, into a folder of the test run.
Where Node, npm or the registry is not to be had, the tests are reported as skipped, with the reason.
"""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from app.core.secrets import new_webhook_key_pair, new_webhook_secret
from app.webhooks.signing import signed_headers, signing_key
from app.webhooks.vectors import PATH

PACKAGE = "standardwebhooks@1.1.1"
NODE, NPM = shutil.which("node"), shutil.which("npm")
pytestmark = pytest.mark.skipif(not (NODE and NPM), reason="Node or npm is not installed")

# Its clock is the wall's, so of a vector only the signature is asked: it signs the same, as one more sender would.
VECTORS = r"""
const {Webhook} = require("standardwebhooks");
const {cases} = JSON.parse(require("node:fs").readFileSync(process.argv[2], "utf8"));
for (const one of cases.filter(c => c.expect === "accepted" || c.expect === "no_match")) {
  const secrets = one.receiver_keys.filter(key => key.startsWith("whsec_"));
  if (secrets.length === 0) continue;
  const at = new Date(Number(one.headers["webhook-timestamp"]) * 1000);
  const body = Buffer.from(one.body_base64, "base64").toString("utf8");
  const given = one.headers["webhook-signature"].split(" ");
  const fits = secrets.some(key => given.includes(new Webhook(key).sign(one.headers["webhook-id"], at, body)));
  console.log(JSON.stringify([one.name, fits ? "accepted" : "no_match"]));
}
"""
VERIFY = r"""
const {Webhook} = require("standardwebhooks");
const {messages} = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
for (const {secret, headers, body} of messages) {
  try {
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
  } catch (error) {
    console.log(JSON.stringify(error.constructor.name));
  }
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the library is installed."""
    folder = tmp_path_factory.mktemp("official")
    (folder / "package.json").write_text('{"private": true}')
    command = [str(NPM), "install", PACKAGE, "--save-exact", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the npm registry did not give {PACKAGE} within two minutes")
    if done.returncode:
        pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def said(library: Path, program: str, *options: str, given: Any = None) -> list[Any]:
    (library / "program.cjs").write_text(program)
    run = subprocess.run(
        [str(NODE), "program.cjs", *options],
        cwd=library, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_it_agrees_with_every_vector_of_v1(library: Path) -> None:
    cases = json.loads(PATH.read_text(encoding="utf-8"))["cases"]
    asked = [
        [one["name"], one["expect"]]
        for one in cases
        if one["expect"] in {"accepted", "no_match"}
        and any(key.startswith("whsec_") for key in one["receiver_keys"])
    ]
    assert len(asked) > 10
    assert said(library, VECTORS, str(PATH.resolve())) == asked


def test_it_verifies_what_is_signed_now_in_rotation_and_beside_v1a_and_nothing_else(library: Path) -> None:
    secret, old, pair = new_webhook_secret(), new_webhook_secret(), new_webhook_key_pair().secret
    body, now = '{"type":"booking.confirmed","ysgol":"Tŷ Gwyn"}', int(time.time())

    def message(key: str, *signers: str, at: int = now, sent: str = body) -> dict[str, Any]:
        headers = signed_headers("0199aa00-1", at, body.encode(), [signing_key(one) for one in signers])
        return {"secret": key, "headers": headers, "body": sent}

    good = [message(secret, secret), message(old, secret, old), message(secret, pair, secret)]
    bad = [
        message(secret, old),
        message(secret, pair),
        message(secret, secret, at=now - 400),
        message(secret, secret, at=now + 400),
        message(secret, secret, sent=body + " "),
    ]
    answers = said(library, VERIFY, given={"messages": good + bad})
    assert answers[:3] == [json.loads(body)] * 3
    assert answers[3:] == ["WebhookVerificationError"] * len(bad)
