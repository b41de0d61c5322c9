"""A receiver of TenDays webhooks, with nothing but Python's standard library. It passes the certification.

    TENDAYS_KEYS="whsec_..." python3 receiver.py 9000

Several secrets may stand in TENDAYS_KEYS, separated by spaces: during a rotation, the new and the old one. It verifies
`v1` (HMAC-SHA256); the receiver in JavaScript beside it verifies `v1a` (ed25519) as well. Each genuine event is stored
(here: printed as a line of JSON) once. For production put it behind HTTPS, and keep SEEN, LATEST and the events in your
database, in one transaction.
"""

import base64
import hmac
import http.server
import json
import os
import re
import sys
import threading
import time

KEYS = [base64.b64decode(one.removeprefix("whsec_")) for one in os.environ["TENDAYS_KEYS"].split()]
TOLERANCE = 300  # seconds, either way
LARGEST = 1_000_000  # bytes
SEEN = {}  # webhook-id: when it came, in unix seconds
LATEST = {}  # (order_key, audience): the highest `sequence` stored
KEPT = 7 * 24 * 3600  # seconds for which an id is remembered: longer than we try
LOCK = threading.Lock()


def problem_with(headers, body, now):
    """Why these bytes are not to be believed; None if they are ours and timely."""
    msg_id, stamp, given = (headers.get(f"webhook-{one}", "") for one in ("id", "timestamp", "signature"))
    if not (msg_id and given and re.fullmatch("[0-9]{1,12}", stamp)):
        return "a header is missing or malformed"
    if abs(now - int(stamp)) > TOLERANCE:
        return "the timestamp is stale"
    signed = b".".join([msg_id.encode("latin-1"), stamp.encode(), body])
    good = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in KEYS]
    offered = [one.encode("latin-1") for one in given.split()]
    if not any(hmac.compare_digest(one, other) for one in good for other in offered):
        return "no signature fits"
    return None


def is_new(msg_id, now):
    """Whether this id has not been seen yet; from now on it has."""
    with LOCK:
        for old in [one for one, came in SEEN.items() if now - came > KEPT]:
            del SEEN[old]
        if msg_id in SEEN:
            return False
        SEEN[msg_id] = now
        return True


def is_old(event):
    """Whether a later event of its key and audience has come before: each audience counts its own `sequence`."""
    key, number = (event.get("order_key"), str(event.get("audience"))), event.get("sequence", 0)
    with LOCK:
        latest = LATEST.get(key, 0)
        LATEST[key] = max(latest, number)
        return number < latest


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers first, works later: what takes longer than storing an event belongs behind a queue of your own."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds of silence, after which a connection is given up

    def do_POST(self):
        """204 if it is genuine (new or not, of a known type or not); 4xx if not."""
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,9}", length):
            self.close_connection = True
            return self.say(411)
        if int(length) > LARGEST:
            left = int(length)
            while left > 0 and (part := self.rfile.read(min(left, 65536))):
                left -= len(part)  # who is still sending would not hear the answer
            return self.say(413)
        body = self.rfile.read(int(length))  # waits until the last byte has come, however slowly
        now = time.time()
        problem = problem_with(self.headers, body, now)
        if problem:
            print(problem, file=sys.stderr, flush=True)
            return self.say(401)
        if is_new(self.headers["webhook-id"], now):
            event = json.loads(body)
            # A type you do not know is not an error: there will be new ones. Nor is an event that comes after a
            # later one: it is stored, and says that it is old, so that it overwrites nothing newer.
            print(json.dumps({**event, "old": True} if is_old(event) else event), flush=True)
        return self.say(204)

    def say(self, status):
        """An answer without a body."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Keep quiet: standard output is for events."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"listening on {server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
