"""Egress: what may be called and what may not, in every spelling, and what callers learn of a failure."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.core import egress as egress_module
from app.core.addresses import address_refusal, faults_in, range_of
from app.core.egress import Egress, EgressError, Kind, Policy, Timeouts, problems_with_url

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENT = Timeouts()
UNSPECIFIED = "0.0.0.0"  # noqa: S104 - an address to be refused
EVERYWHERE = UNSPECIFIED  # a listener that 127.0.0.1 and 127.0.0.2 both lead to
STRICT = Policy()
OPEN = Policy.development()
# As strict as production in all but scheme and port, which a listener on this machine cannot have.
GUARDED = Policy(allow_http=True, ports=None)

REFUSED_ADDRESSES = [
    ("0.0.0.0", "unspecified"),  # noqa: S104 - an address in a table, nothing is bound
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared"),
    ("100.127.255.255", "shared"),
    ("100.100.100.200", "metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "metadata"),
    ("169.254.0.1", "link_local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "reserved"),
    ("192.0.0.192", "metadata"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4"),
    ("192.168.0.1", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.9", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.254", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "v4_compatible"),
    ("::8.8.8.8", "v4_compatible"),
    ("::ffff:127.0.0.1", "v4_mapped"),
    ("::ffff:7f00:1", "v4_mapped"),
    ("::ffff:169.254.169.254", "v4_mapped"),
    ("::ffff:8.8.8.8", "v4_mapped"),
    ("::ffff:0:127.0.0.1", "v4_translated"),
    ("64:ff9b::7f00:1", "nat64"),
    ("64:ff9b::a9fe:a9fe", "nat64"),
    ("64:ff9b::8.8.8.8", "nat64"),
    ("64:ff9b:1::1", "nat64_local"),
    ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "nat64_local"),
    ("100::1", "discard"),
    ("2001::1", "teredo"),
    ("2001:0:7f00:1::", "teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "reserved"),
    ("2001:20::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("2002:808:808::1", "6to4"),
    ("3fff::1", "documentation"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
    ("fc00::1", "unique_local"),
    ("fd12:3456:789a::1", "unique_local"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("fd00:c1::a9fe:a9fe", "metadata"),
    ("fd00:42::42", "metadata"),
    ("fe80::1", "link_local"),
    ("fe80::1%eth0", "link_local"),
    ("febf::1", "link_local"),
    ("fec0::1", "site_local"),
    ("feff::1", "site_local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("not an address", "unreadable"),
    ("", "unreadable"),
]
PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4009::1",
]

REFUSED_URLS = [
    ("https://127.0.0.1/", Kind.REFUSED_ADDRESS),
    ("https://2130706433/", Kind.REFUSED_ADDRESS),
    ("https://0x7f000001/", Kind.REFUSED_ADDRESS),
    ("https://0X7F.1/", Kind.REFUSED_ADDRESS),
    ("https://0x7f.0.0.1/", Kind.REFUSED_ADDRESS),
    ("https://017700000001/", Kind.REFUSED_ADDRESS),
    ("https://0177.0.0.1/", Kind.REFUSED_ADDRESS),
    ("https://127.1/", Kind.REFUSED_ADDRESS),
    ("https://127.0.1/", Kind.REFUSED_ADDRESS),
    ("https://127.0.0.01/", Kind.REFUSED_ADDRESS),
    ("https://127.0.0.1./", Kind.REFUSED_ADDRESS),
    ("https://127.0.0.1../", Kind.REFUSED_ADDRESS),
    ("https://0/", Kind.REFUSED_ADDRESS),
    ("https://8.8.8.8./", Kind.REFUSED_ADDRESS),
    ("https://134744072/", Kind.REFUSED_ADDRESS),
    ("https://1.2.3.4.5/", Kind.REFUSED_ADDRESS),
    ("https://256.256.256.256/", Kind.REFUSED_ADDRESS),
    ("https://example.0x7f/", Kind.REFUSED_ADDRESS),
    ("https://[::1]/", Kind.REFUSED_ADDRESS),
    ("https://[0:0:0:0:0:0:0:1]/", Kind.REFUSED_ADDRESS),
    ("https://[::]/", Kind.REFUSED_ADDRESS),
    ("https://[::ffff:7f00:1]/", Kind.REFUSED_ADDRESS),
    ("https://[::FFFF:127.0.0.1]:8443/", Kind.REFUSED_ADDRESS),
    ("https://[64:ff9b::7f00:1]/", Kind.REFUSED_ADDRESS),
    ("https://[fd00:ec2::254]/", Kind.REFUSED_ADDRESS),
    ("https://[:::]/", Kind.REFUSED_ADDRESS),
    ("https://169.254.169.254/latest/meta-data/", Kind.REFUSED_ADDRESS),
    ("https://localhost/", Kind.REFUSED_ADDRESS),
    ("https://LOCALHOST:443/", Kind.REFUSED_ADDRESS),
    ("https://anything.localhost/", Kind.REFUSED_ADDRESS),
    ("https://metadata.google.internal/", Kind.REFUSED_ADDRESS),
    ("https://printer.local/", Kind.REFUSED_ADDRESS),
    ("https://intranet/", Kind.REFUSED_ADDRESS),
    ("https://[fe80::1%25eth0]/", Kind.REFUSED_URL),
    ("https://[::1/", Kind.REFUSED_URL),
    ("https://[]/", Kind.REFUSED_URL),
    ("https://①②⑦.0.0.1/", Kind.REFUSED_URL),
    ("https://１２７.0.0.1/", Kind.REFUSED_URL),
    ("https://127。0。0。1/", Kind.REFUSED_URL),
    ("https://١٢٧.0.0.1/", Kind.REFUSED_URL),
    ("https://ⓛocalhost/", Kind.REFUSED_URL),
    ("https://exämple.com/", Kind.REFUSED_URL),
    ("https://%31%32%37.0.0.1/", Kind.REFUSED_URL),
    ("https://example.com%00.evil.test/", Kind.REFUSED_URL),
    ("https://user@example.com/", Kind.REFUSED_URL),
    ("https://user:password@example.com/", Kind.REFUSED_URL),
    ("https://example.com@127.0.0.1/", Kind.REFUSED_URL),
    ("https://@example.com/", Kind.REFUSED_URL),
    ("https://example.com\\@127.0.0.1/", Kind.REFUSED_URL),
    ("https://example.com#@127.0.0.1/", Kind.REFUSED_URL),
    ("https://example.com/#part", Kind.REFUSED_URL),
    ("https://example.com./", Kind.REFUSED_URL),
    ("https://.example.com/", Kind.REFUSED_URL),
    ("https://exa..mple.com/", Kind.REFUSED_URL),
    ("https://-example.com/", Kind.REFUSED_URL),
    ("https://" + "a" * 64 + ".com/", Kind.REFUSED_URL),
    ("https://" + "a." * 130 + "com/", Kind.REFUSED_URL),
    ("https://exa mple.com/", Kind.REFUSED_URL),
    ("https://example.com/a b", Kind.REFUSED_URL),
    ("https://exam\tple.com/", Kind.REFUSED_URL),
    ("https://example.com/\r\nHost: inside", Kind.REFUSED_URL),
    ("https://example.com/\x00", Kind.REFUSED_URL),
    ("https://example.com:/", Kind.REFUSED_URL),
    ("https://example.com:abc/", Kind.REFUSED_URL),
    ("https://example.com:+443/", Kind.REFUSED_URL),
    ("https://example.com?x=1", Kind.REFUSED_URL),
    ("https:///path", Kind.REFUSED_URL),
    ("https:example.com", Kind.REFUSED_URL),
    ("https:/example.com", Kind.REFUSED_URL),
    ("//example.com/", Kind.REFUSED_URL),
    ("example.com", Kind.REFUSED_URL),
    ("", Kind.REFUSED_URL),
    (" https://example.com/", Kind.REFUSED_URL),
    ("http://example.com:443/", Kind.REFUSED_URL),
    ("ftp://example.com/", Kind.REFUSED_URL),
    ("file:///etc/passwd", Kind.REFUSED_URL),
    ("gopher://example.com:443/", Kind.REFUSED_URL),
    ("https+unix://example.com/", Kind.REFUSED_URL),
    ("https://example.com/" + "x" * 2048, Kind.REFUSED_URL),
    ("https://example.com:22/", Kind.REFUSED_PORT),
    ("https://example.com:25/", Kind.REFUSED_PORT),
    ("https://example.com:0/", Kind.REFUSED_PORT),
    ("https://example.com:5432/", Kind.REFUSED_PORT),
    ("https://example.com:65979/", Kind.REFUSED_PORT),
]
ACCEPTED_URLS = [
    "https://example.com",
    "https://example.com/",
    "HTTPS://Example.COM/Hooks?school=1&x=%20",
    "https://example.com:443/",
    "https://example.com:8443/hooks",
    "https://xn--exmple-cua.com/",
    "https://a-b_c.example.co.uk/",
    "https://1e100.net/",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/",
    "https://x.test/at@sign",
]


@pytest.mark.parametrize(("address", "name"), REFUSED_ADDRESSES)
def test_an_address_that_is_not_public_is_refused(address: str, name: str) -> None:
    assert address_refusal(address, STRICT) == name


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_called(address: str) -> None:
    assert address_refusal(address, STRICT) is None


@pytest.mark.parametrize("address", [one for one, name in REFUSED_ADDRESSES if name != "unreadable"])
def test_pythons_own_table_and_ours_agree_where_it_has_one(address: str) -> None:
    """Whatever the standard library knows not to be global, ours refuses; ours refuses more."""
    parsed = ip_address(address)
    if not parsed.is_global:
        assert range_of(parsed) != "public"


@pytest.mark.parametrize(("url", "kind"), REFUSED_URLS)
def test_a_url_that_leads_elsewhere_is_refused_before_anything_is_asked(url: str, kind: Kind) -> None:
    assert kind in [fault.kind for fault in faults_in(url, STRICT)]
    assert problems_with_url(url, STRICT)


@pytest.mark.parametrize("url", ACCEPTED_URLS)
def test_an_ordinary_url_has_no_problems(url: str) -> None:
    assert problems_with_url(url, STRICT) == []


def test_all_problems_are_named_at_once() -> None:
    assert len(problems_with_url("http://127.0.0.1:22/", STRICT)) == 3


def test_development_opens_our_own_machine_but_not_the_metadata() -> None:
    assert problems_with_url("http://localhost:9000/hooks", OPEN) == []
    assert problems_with_url("http://127.0.0.1:9000/", OPEN) == []
    assert problems_with_url("http://[::1]:9000/", OPEN) == []
    for address in (
        "169.254.169.254",
        "fd00:ec2::254",
        UNSPECIFIED,
        "255.255.255.255",
        "224.0.0.1",
        "::ffff:127.0.0.1",
    ):
        assert address_refusal(address, OPEN) is not None


def test_a_self_hoster_lists_what_is_theirs() -> None:
    listed = Policy(allow_list=("10.1.0.0/16", "fd12::/16", "mis.school.internal", "192.168.1.5"))
    for address in ("10.1.2.3", "fd12::9", "192.168.1.5"):
        assert address_refusal(address, listed) is None
    for address in ("10.2.0.1", "127.0.0.1", "192.168.1.6", "::ffff:10.1.2.3"):
        assert address_refusal(address, listed) is not None
    assert address_refusal("172.16.0.9", listed, "mis.school.internal") is None
    assert address_refusal("172.16.0.9", listed, "other.school.internal") == "private"
    assert address_refusal("169.254.169.254", listed, "mis.school.internal") == "metadata"
    assert problems_with_url("https://mis.school.internal/", listed) == []
    assert problems_with_url("https://10.1.2.3/", listed) == []
    assert (
        problems_with_url("https://mis.lan/", listed) == []
    )  # may lead to a listed block: judged when called
    assert problems_with_url("https://mis.lan/", Policy(allow_list=("other.lan",)))


def test_no_list_reaches_what_is_never_called() -> None:
    everything = Policy(allow_list=("0.0.0.0/0", "::/0"))
    for address in (
        "169.254.169.254",
        "fd00:ec2::254",
        UNSPECIFIED,
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ):
        assert address_refusal(address, everything) is not None
    for address in ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"):
        assert address_refusal(address, everything) is not None


def test_a_network_behind_nat64_can_list_it_and_what_it_carries_is_judged() -> None:
    listed = Policy(allow_list=("64:ff9b::/96",))
    assert address_refusal("64:ff9b::8.8.8.8", listed) is None
    assert address_refusal("64:ff9b::10.0.0.1", listed) == "nat64"
    assert address_refusal("64:ff9b::127.0.0.1", listed) == "nat64"


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "2130706433", "a b", "https://x/", "", "*.example.com"])
def test_an_allow_list_that_says_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="allow-list"):
        Policy(allow_list=(entry,))


# --- with a real listener on this machine ---------------------------------------------------------


class Listener:
    """A real server that answers each request with the given bytes and remembers what it was sent."""

    def __init__(self, *answers: bytes | Behaviour) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.closed_by_caller = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(one[15:])
                        for one in head.lower().split(b"\r\n")
                        if one.startswith(b"content-length:")
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if callable(answer):
                    await answer(reader, writer)
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer.lower():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed_by_caller.set()
            writer.close()


@asynccontextmanager
async def listening(
    *answers: bytes | Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator["Listener"]:
    listener = Listener(*answers)
    server = await asyncio.start_server(listener.serve, host, 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()


class Names(AbstractResolver):
    """DNS as an attacker runs it: each question gets the next answer, the last one for ever."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        if answer == "silence":
            await asyncio.sleep(30)
        assert isinstance(answer, list)
        return [egress_module._found(host, port, family, one) for one in answer]

    async def close(self) -> None:
        pass


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


async def _kind(egress: Egress, url: str, timeouts: Timeouts = PATIENT) -> Kind:
    with pytest.raises(EgressError) as caught:
        await egress.post(url, {}, b"{}", timeouts=timeouts)
    return caught.value.kind


async def test_a_post_brings_back_status_headers_and_body() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-Two: a\r\nContent-Length: 4\r\n\r\nwait"
    async with listening(answer) as listener, Egress(OPEN) as egress:
        got = await egress.post(f"http://127.0.0.1:{listener.port}/h?a=%20b", {"webhook-id": "1"}, b'{"a":1}')
    assert (got.status, got.body, got.truncated) == (503, b"wait", False)
    assert got.headers["retry-after"] == "7"
    assert 0 <= got.elapsed_ms < 2000
    head, _, body = listener.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /h?a=%20b http/1.1"
    assert b"user-agent: tendays" in lines
    assert b"webhook-id: 1" in lines
    assert b"accept-encoding: identity" in lines
    assert body == b'{"a":1}'


async def test_a_caller_cannot_name_another_host_or_another_length() -> None:
    given = {"Host": "inside", "Content-Length": "999", "User-Agent": "x", "Transfer-Encoding": "chunked"}
    async with listening(OK) as listener, Egress(OPEN) as egress:
        await egress.post(f"http://127.0.0.1:{listener.port}/", given, b"{}")
    head = listener.requests[0].lower()
    assert f"host: 127.0.0.1:{listener.port}".encode() in head
    assert b"content-length: 2\r\n" in head
    assert b"user-agent: tendays" in head
    assert b"inside" not in head
    assert b"chunked" not in head


async def test_a_header_with_a_line_end_is_not_sent() -> None:
    async with listening(OK) as listener, Egress(OPEN) as egress:
        with pytest.raises(EgressError):
            await egress.post(f"http://127.0.0.1:{listener.port}/", {"x": "1\r\nHost: inside"}, b"{}")
    assert listener.requests == []


async def test_connections_are_kept() -> None:
    async with listening(OK) as listener, Egress(OPEN) as egress:
        for _ in range(5):
            await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
    assert (listener.connections, len(listener.requests)) == (1, 5)


async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_attempt() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(OK, hang_up, OK) as listener, Egress(OPEN) as egress:
        first = await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"1")
        second = await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"2")
    assert (first.status, second.status) == (200, 200)
    assert listener.connections == 2


async def test_a_receiver_that_always_hangs_up_is_a_protocol_failure_after_one_try() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as listener, Egress(OPEN) as egress:
        assert await _kind(egress, f"http://127.0.0.1:{listener.port}/") is Kind.PROTOCOL
    assert listener.connections == 1


async def test_a_name_that_is_bound_again_after_the_check_is_refused() -> None:
    """Registered while it led to a good address, then pointed inside: the second connection is not made."""
    policy = Policy(
        allow_http=True, ports=None, allow_list=("127.0.0.1/32",)
    )  # our stand-in for a public address
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with listening(OK_CLOSE, host=EVERYWHERE) as listener, Egress(policy, resolver=names) as egress:
        url = f"http://rebinding.example:{listener.port}/"
        assert problems_with_url(url, policy) == []
        assert (await egress.post(url, {}, b"{}")).status == 200
        assert await _kind(egress, url) is Kind.REFUSED_ADDRESS
        assert listener.connections == 1


async def test_the_same_name_would_have_been_followed_without_the_guard() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with listening(OK_CLOSE, host=EVERYWHERE) as listener, Egress(OPEN, resolver=names) as egress:
        url = f"http://rebinding.example:{listener.port}/"
        for _ in range(2):
            assert (await egress.post(url, {}, b"{}")).status == 200
        assert (listener.connections, names.asked) == (2, 2)


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["::1"],
        ["169.254.169.254"],
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700:4700::1111", "::1"],
        ["127.0.0.1"] + ["8.8.8.8"] * 20,
        ["8.8.8.8"] * 20 + ["10.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
    ],
)
async def test_a_name_that_leads_inside_by_any_of_its_addresses_is_refused(found: list[str]) -> None:
    async with listening(OK, host=EVERYWHERE) as listener, Egress(GUARDED, resolver=Names(found)) as egress:
        assert await _kind(egress, f"http://half.example:{listener.port}/") is Kind.REFUSED_ADDRESS
        assert listener.connections == 0


async def test_both_families_are_called() -> None:
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
        probe.close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with listening(OK, host="::1") as listener, Egress(OPEN, resolver=Names(["::1"])) as egress:
        assert (await egress.post(f"http://six.example:{listener.port}/", {}, b"{}")).status == 200
        assert (await egress.post(f"http://[::1]:{listener.port}/", {}, b"{}")).status == 200


async def test_a_literal_that_slipped_past_the_url_check_is_stopped_at_the_socket() -> None:
    """A literal never reaches a resolver, so the socket asks; without an attempt it does not open at all."""
    async with listening(OK) as listener, Egress(GUARDED) as egress:
        request = httpx.Request("POST", f"http://127.0.0.1:{listener.port}/", content=b"{}")
        attempt = egress_module._Attempt("example.com", 1.0)
        transport = egress._transport
        assert transport is not None
        mark = egress_module._attempt.set(attempt)
        with pytest.raises(httpx.TransportError):
            await transport.handle_async_request(request)
        egress_module._attempt.reset(mark)
        assert attempt.refused
        with pytest.raises(LookupError):
            await transport.handle_async_request(request)
        assert listener.connections == 0


async def test_concurrent_posts_do_not_borrow_each_others_leave() -> None:
    policy = Policy(allow_http=True, ports=None, allow_list=("friend.example",))
    names = Names(["127.0.0.1"])
    async with listening(OK_CLOSE) as listener, Egress(policy, resolver=names) as egress:

        async def outcome(host: str) -> object:
            try:
                return (await egress.post(f"http://{host}:{listener.port}/", {}, b"{}")).status
            except EgressError as error:
                return error.kind

        hosts = ["friend.example", "stranger.example"] * 10
        got = await asyncio.gather(*(outcome(host) for host in hosts))
    assert got == [200, Kind.REFUSED_ADDRESS] * 10
    assert listener.connections == 10


async def test_redirects_are_answers() -> None:
    away = b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with listening(away) as listener, Egress(OPEN) as egress:
        assert (await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")).status == 307
    assert len(listener.requests) == 1


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(OK) as proxy, listening(OK) as listener:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{proxy.port}")
        async with Egress(OPEN) as egress:
            await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
        assert (proxy.connections, listener.connections) == (0, 1)


async def test_no_cookie_is_kept() -> None:
    baked = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with listening(baked) as listener, Egress(OPEN, resolver=Names(["127.0.0.1"])) as egress:
        for _ in range(2):
            await egress.post(f"http://cookie.example:{listener.port}/", {}, b"{}")
    assert b"\r\ncookie:" not in listener.requests[1].lower()


@pytest.mark.parametrize(
    ("size", "kept", "truncated"), [(4096, 4096, False), (4097, 4096, True), (60_000, 4096, True)]
)
async def test_four_kibibytes_of_an_answer_are_kept(size: int, kept: int, *, truncated: bool) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with listening(answer) as listener, Egress(OPEN) as egress:
        got = await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
        assert (len(got.body), got.truncated) == (kept, truncated)
        await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
    assert listener.connections == 1


async def test_an_endless_answer_is_cut_and_the_line_dropped() -> None:
    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()

    async with listening(pour) as listener, Egress(OPEN) as egress:
        got = await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")
        assert (got.status, len(got.body), got.truncated) == (200, 4096, True)
        await asyncio.wait_for(listener.closed_by_caller.wait(), 2)


async def test_a_packed_answer_is_not_unpacked() -> None:
    packed = b"\x1f\x8b" + b"\x00" * 20
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + packed
    async with listening(answer) as listener, Egress(OPEN) as egress:
        assert (await egress.post(f"http://127.0.0.1:{listener.port}/", {}, b"{}")).body == packed


async def test_a_head_without_end_is_too_large() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"
    async with listening(answer) as listener, Egress(OPEN) as egress:
        assert await _kind(egress, f"http://127.0.0.1:{listener.port}/") is Kind.TOO_LARGE


async def test_a_head_of_ever_more_lines_is_broken_off() -> None:
    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: yes\r\n" * 100)
            await writer.drain()

    async with listening(pour) as listener, Egress(OPEN) as egress:
        started = time.monotonic()
        assert await _kind(egress, f"http://127.0.0.1:{listener.port}/") in (Kind.TOO_LARGE, Kind.PROTOCOL)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.inside ESMTP\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20",
    ],
)
async def test_what_is_not_http_is_a_protocol_failure(answer: bytes) -> None:
    async def say(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with listening(say) as listener, Egress(OPEN) as egress:
        assert await _kind(egress, f"http://127.0.0.1:{listener.port}/") is Kind.PROTOCOL


async def _silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def test_a_silence_is_a_read_time_out() -> None:
    async with listening(_silence) as listener, Egress(OPEN) as egress:
        started = time.monotonic()
        kind = await _kind(egress, f"http://127.0.0.1:{listener.port}/", Timeouts(read=0.2))
        assert (kind, time.monotonic() - started < 2) == (Kind.TIMEOUT_READ, True)


async def test_a_trickle_is_a_total_time_out() -> None:
    """Of interim answers: a final status line would be the answer, whatever trickles after it."""

    async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(trickle) as listener, Egress(OPEN) as egress:
        kind = await _kind(egress, f"http://127.0.0.1:{listener.port}/", Timeouts(read=5, total=0.3))
        assert kind is Kind.TIMEOUT_TOTAL
        await asyncio.wait_for(listener.closed_by_caller.wait(), 2)


async def test_a_tls_handshake_that_never_ends_is_a_connect_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/"
        async with Egress(OPEN) as egress:
            assert await _kind(egress, url, Timeouts(connect=0.2)) is Kind.TIMEOUT_CONNECT


async def test_a_closed_port_is_a_connect_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    async with Egress(OPEN) as egress:
        assert await _kind(egress, f"http://127.0.0.1:{port}/") is Kind.CONNECT


@pytest.mark.parametrize("said", [socket.gaierror(-2, "unknown"), [], "silence"])
async def test_a_name_without_an_answer_is_a_dns_failure(said: object) -> None:
    async with Egress(OPEN, resolver=Names(said)) as egress:
        assert await _kind(egress, "http://nowhere.example:9/", Timeouts(dns=0.2)) is Kind.DNS


async def test_the_systems_resolver_knows_localhost() -> None:
    async with listening(OK) as listener, Egress(OPEN) as egress:
        assert (await egress.post(f"http://localhost:{listener.port}/", {}, b"{}")).status == 200


async def test_a_bad_url_is_refused_without_a_question_to_dns() -> None:
    names = Names(["8.8.8.8"])
    async with Egress(STRICT, resolver=names) as egress:
        assert await _kind(egress, "https://u:p@example.com/") is Kind.REFUSED_URL
        assert await _kind(egress, "http://example.com/") is Kind.REFUSED_URL
        assert await _kind(egress, "https://example.com:25/") is Kind.REFUSED_PORT
        assert await _kind(egress, "https://0x7f.1/") is Kind.REFUSED_ADDRESS
    assert names.asked == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_a_certificate_is_verified_with_its_name(certificate: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    names = Names(["127.0.0.1"])
    async with listening(OK, tls=server) as listener:
        good, other = (f"https://{name}.example:{listener.port}/" for name in ("receiver", "other"))
        async with Egress(OPEN, tls=trusting, resolver=names) as egress:
            assert (await egress.post(good, {}, b"{}")).status == 200
            assert await _kind(egress, other) is Kind.TLS
        async with Egress(OPEN, resolver=names) as egress:
            assert await _kind(egress, good) is Kind.TLS
        assert len(listener.requests) == 1


async def test_plain_http_behind_https_is_a_tls_failure() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Egress(OPEN) as egress:
        assert await _kind(egress, f"https://127.0.0.1:{port}/") is Kind.TLS
    server.close()


async def test_the_caller_cannot_tell_an_inside_name_from_one_that_is_not_there() -> None:
    told = []
    for said in (["10.0.0.1"], ["169.254.169.254"], socket.gaierror(-2, "Name or service not known"), []):
        async with Egress(STRICT, resolver=Names(said)) as egress:
            with pytest.raises(EgressError) as caught:
                await egress.post("https://db.corp.example/", {}, b"{}")
            told.append((caught.value.told, str(caught.value)))
    assert len(set(told)) == 1


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_words_that_name_nothing(kind: Kind) -> None:
    text = str(EgressError(kind, 1))
    assert text.endswith(".")
    assert not any(
        word in text.lower() for word in ("errno", "127.", "10.", "aiohttp", "exception", "internal")
    )


async def test_it_is_used_only_while_it_is_open() -> None:
    egress = Egress(OPEN)
    with pytest.raises(RuntimeError, match="async with"):
        await egress.post("http://127.0.0.1:1/", {}, b"{}")
