"""What a newcomer is told at the end: three requests to copy, that work as they stand."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

_READ = "import json; c = json.load(open({path!r}))['clients']['$1']; print(c['client_id'] + ':' + c['client_secret'])"
_QUERY = "{ hub { name coverage(by: SCHOOL) { edges { node { label figures { pupils minutes } } } } } }"


def what_there_is(counted: Mapping[str, int]) -> str:
    """What was loaded, in a line; `counted` as `loader.load` gives it."""
    days = counted["minutes"] // 300
    return (
        f"both pilots: {counted['schools']} schools with {counted['pupils']:,} pupils, {counted['employers']} employers "
        f"with {counted['open_slots']:,} open slots; behind them {counted['bookings']:,} bookings and "
        f"{counted['encounters']:,} experiences, {days:,} days' worth"
    )


def requests_to_copy(base_url: str, credentials: Path) -> Sequence[str]:
    """A shell function that fetches a token by the name of a client, and three requests with it: a school's MIS
    searches, an employer lists its bookings, a hub asks for coverage. They need curl and python3.
    """
    read = _READ.format(path=_near(credentials))
    take = "import json, sys; print(json.load(sys.stdin)['access_token'])"
    auth = '-H "Authorization: Bearer $(token {})"'
    query = shlex.quote(f'{{"query": "{_QUERY}"}}')
    proof = f'-u "$(python3 -c "{read}")" -d grant_type=client_credentials'
    return (
        f'token() {{ curl -s {proof} {base_url}/oauth/token | python3 -c "{take}"; }}',
        f"curl -s {auth.format('vendor')} '{base_url}/v1/open-slots?kind=workplace_tour&year_group=8&limit=3'",
        f"curl -s {auth.format('employer')} '{base_url}/v1/bookings?limit=5'",
        f"curl -s {auth.format('hub')} -H 'Content-Type: application/json' -d {query} {base_url}/graphql",
    )


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
