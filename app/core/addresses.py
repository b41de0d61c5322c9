"""Which addresses and URLs the house may call: pure judgement, without DNS, sockets or clocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Kind(StrEnum):
    """Why an outbound call did not bring back an answer."""

    REFUSED_URL = "refused_url"  # scheme, credentials, spelling: the URL itself
    REFUSED_ADDRESS = "refused_address"
    REFUSED_PORT = "refused_port"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_READ = "timeout_read"
    TIMEOUT_TOTAL = "timeout_total"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"  # the head of the answer; a long body is cut, not refused


# First match wins, so single addresses stand before the range that holds them. Sources: the IANA
# special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates), and the clouds' documentation for
# "metadata". The ranges are written out because what `ipaddress.is_global` says has changed between releases
# of Python.
_RANGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("metadata", (
        "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32", "192.0.0.192/32",
        "168.63.129.16/32", "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128",
        "fd00:42::42/128")),
    ("broadcast", ("255.255.255.255/32",)),
    ("unspecified", ("0.0.0.0/8", "::/128")),  # Linux connects 0.0.0.0 and :: to itself
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    ("unique_local", ("fc00::/7",)),
    ("shared", ("100.64.0.0/10",)),
    ("link_local", ("169.254.0.0/16", "fe80::/10")),
    ("site_local", ("fec0::/10",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("documentation", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")),
    ("benchmarking", ("198.18.0.0/15", "2001:2::/48")),
    ("v4_mapped", ("::ffff:0:0/96",)),
    ("v4_translated", ("::ffff:0:0:0/96",)),
    ("v4_compatible", ("::/96",)),
    ("nat64", ("64:ff9b::/96",)),
    ("nat64_local", ("64:ff9b:1::/48",)),  # where the v4 part lies is up to each network (RFC 8215)
    ("6to4", ("2002::/16", "192.88.99.0/24")),
    ("teredo", ("2001::/32",)),
    ("discard", ("100::/64", "100:0:0:1::/64")),
    ("reserved", ("192.0.0.0/24", "240.0.0.0/4", "2001::/23", "5f00::/16")),
)  # fmt: skip
_TABLE: tuple[tuple[str, Network], ...] = tuple(
    (name, ip_network(cidr)) for name, cidrs in _RANGES for cidr in cidrs
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")

_NEVER = frozenset({"metadata", "broadcast", "unspecified", "multicast"})  # no allow-list reaches these
_OURS = frozenset({"loopback", "private", "unique_local"})  # what allow_private opens
_LAST_32_BITS = frozenset({"v4_mapped", "v4_translated", "v4_compatible", "nat64"})

# One strict grammar instead of a lenient parser: what three libraries would read in three ways is not
# accepted.
_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(/.*)?", re.IGNORECASE)
_UNFIT = re.compile(r'[^\x21-\x7e]|[\\"<>^`{|}]')
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT = re.compile("%2e", re.IGNORECASE)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST = 2048
_LONGEST_NAME = 253
_LAST_PORT = 65535
_INWARD = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".onion", ".alt")


@dataclass(frozen=True)
class Policy:
    """What may be called. The default is production: https, ports 443 and 8443, public addresses.

    `allow_private` (development only) opens loopback, RFC 1918 and unique local addresses. `allow_list` is
    for self-hosters: exact host names, and addresses or CIDR blocks, that may be called although they are not
    public. Metadata, multicast, broadcast and unspecified addresses stay refused whatever is listed.
    `ports=None` is any port. Raises ValueError for an entry that is neither a host name nor a block.
    """

    allow_http: bool = False
    allow_private: bool = False
    ports: frozenset[int] | None = frozenset({443, 8443})
    allow_list: tuple[str, ...] = ()
    _hosts: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())
    _networks: tuple[Network, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        networks, hosts = [], set()
        for entry in self.allow_list:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if not _is_name(entry.lower()) or _ends_in_a_number(entry.lower()):
                    raise ValueError(f"allow-list: {entry!r} is neither a host name nor a block") from None
                hosts.add(entry.lower())
        object.__setattr__(self, "_networks", tuple(networks))
        object.__setattr__(self, "_hosts", frozenset(hosts))

    @classmethod
    def development(cls) -> "Policy":
        """Plain http as well as https, any port, and our own machine and networks. Never in production."""
        return cls(allow_http=True, allow_private=True, ports=None)

    @property
    def may_call_inward_names(self) -> bool:
        """Whether a name like `mis.lan` may lead somewhere allowed: that is judged when it is called."""
        return self.allow_private or bool(self._networks)

    def lists_host(self, host: str) -> bool:
        """Whether the allow-list names this host."""
        return host.lower() in self._hosts

    def lists_address(self, address: Address) -> bool:
        """Whether a block of the allow-list holds this address (a v4 block never holds a v6 address)."""
        return any(address.version == net.version and address in net for net in self._networks)


@dataclass(frozen=True)
class UrlFault:
    """One thing that is wrong with a URL: the kind for the machine, the text for a person."""

    kind: Kind
    text: str


def range_of(address: Address) -> str:
    """The name of the special range an address lies in, or `public`."""
    for name, net in _TABLE:
        if address.version == net.version and address in net:
            return name
    if isinstance(address, IPv6Address):
        return "public" if address in _GLOBAL_UNICAST else "reserved"
    return "public" if address.is_global else "reserved"


def address_refusal(text: str, policy: Policy, host: str = "") -> str | None:
    """None if the address may be called, otherwise the name of the range that forbids it.

    The name is for logs, not for callers. `host` is the name it was found under, for the allow-list. An
    address that carries another (v4-mapped, NAT64, 6to4) is refused unless its own block is listed *and* the
    address inside may be called.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return "unreadable"
    return _refusal(address, policy, host)


def _refusal(address: Address, policy: Policy, host: str) -> str | None:
    name = range_of(address)
    if name == "public":
        return None
    inner = _carried(address, name)
    if inner is not None and _refusal(inner, policy, host) is not None:
        return name
    if name in _NEVER:
        return name
    if policy.lists_address(address) or policy.lists_host(host):
        return None
    return None if policy.allow_private and name in _OURS else name


def _carried(address: Address, name: str) -> IPv4Address | None:
    if not isinstance(address, IPv6Address):
        return None
    if name in _LAST_32_BITS:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if name == "6to4":
        return address.sixtofour
    return address.teredo[1] if name == "teredo" and address.teredo else None


def host_of(url: str) -> str:
    """The host of a URL that `faults_in` passed, in lower case, without brackets."""
    match = _URL.fullmatch(url)
    return match[2].strip("[]").lower() if match else ""


def problems_with_url(url: str, policy: Policy) -> list[str]:
    """What is wrong with a URL that somebody registers, in words for that person; empty if nothing is.

    Pure: a name's addresses are checked when it is called, on each attempt. What is registered is called byte for byte, so
    what clients and servers are wont to rewrite on the way is refused here (and not when it is called: what was stored
    before is called as it stands).
    """
    return [fault.text for fault in faults_in(url, policy)] + list(_rewritten(url))


def _rewritten(url: str) -> Iterator[str]:
    """What of a path or a query does not arrive as it is written, by the standards of URLs (RFC 3986, WHATWG)."""
    target = url.partition("://")[2].partition("/")[2]
    path, separator, query = target.partition("?")
    if _LONE_PERCENT.search(target):
        yield "has a % that is not followed by two hexadecimal digits: write %25 for the sign itself"
    if any(_DOT.sub(".", part) in (".", "..") for part in path.split("/")):
        yield "may not hold . or .. between the slashes of its path, nor %2e for them"
    if separator and not query:
        yield "may not end with a question mark"


def faults_in(url: str, policy: Policy) -> list[UrlFault]:
    """The same as faults with a kind (`refused_url`, `refused_port`, `refused_address`)."""
    spelling = _spelling_fault(url)
    if spelling is not None:
        return [UrlFault(Kind.REFUSED_URL, spelling)]
    match = _URL.fullmatch(url)
    if match is None:
        return [UrlFault(Kind.REFUSED_URL, "is not an absolute URL with a host and perhaps a port")]
    return list(_faults(match[1].lower(), match[2].lower(), match[3], policy))


def _spelling_fault(url: str) -> str | None:
    if len(url) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if _UNFIT.search(url):
        return "may hold printable ASCII only: spell the host in its xn-- form and percent-encode the rest"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "must start with https://"
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        return "may not carry a user name or a password"
    return "may not carry a fragment" if "#" in url else None


def _faults(scheme: str, host: str, port: str | None, policy: Policy) -> Iterator[UrlFault]:
    if scheme == "http" and not policy.allow_http:
        yield UrlFault(Kind.REFUSED_URL, "must start with https://")
    number = int(port) if port else {"http": 80, "https": 443}[scheme]
    if not 1 <= number <= _LAST_PORT or (policy.ports is not None and number not in policy.ports):
        yield UrlFault(Kind.REFUSED_PORT, f"names port {number}, which is not among those we call")
    fault = _literal_fault(host, policy) if _is_literal(host) else _name_fault(host, policy)
    if fault is not None:
        yield fault


def _is_literal(host: str) -> bool:
    return host.startswith("[") or _ends_in_a_number(host)


def _ends_in_a_number(host: str) -> bool:
    """Whether an address parser would take the host for a number (WHATWG URL, "ends in a number")."""
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _literal_fault(host: str, policy: Policy) -> UrlFault | None:
    try:
        address = ip_address(host.strip("[]"))  # refuses 0x7f.1, 2130706433, 0177.0.0.1, 127.1 and 127.0.0.1.
    except ValueError:
        text = "has a host that is neither a name nor an address as usually spelt"
        return UrlFault(Kind.REFUSED_ADDRESS, text)
    if _refusal(address, policy, host) is None:
        return None
    return UrlFault(Kind.REFUSED_ADDRESS, "has an address that is not public")


def _name_fault(host: str, policy: Policy) -> UrlFault | None:
    if not _is_name(host):
        return UrlFault(Kind.REFUSED_URL, "has a host that is not a proper name, or that ends in a dot")
    if policy.may_call_inward_names or policy.lists_host(host):
        return None
    if "." not in host or f".{host}".endswith(_INWARD):
        return UrlFault(Kind.REFUSED_ADDRESS, "has a host name that is not public")
    return None


def _is_name(host: str) -> bool:
    return len(host) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in host.split("."))
