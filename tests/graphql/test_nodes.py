"""`node(id:)` finds everything that has an id, by either spelling, and names an id that is none."""

import base64
from uuid import UUID, uuid4

import pytest
from graphql import GraphQLInterfaceType

from app.graphql.ids import KINDS, node_id
from app.graphql.schema import schema
from tests.graphql.test_graphql import Face, face

__all__ = ["face"]
pytestmark = pytest.mark.calendar

NODE = "query Node($id: ID!) { node(id: $id) { __typename id } }"


def nodes(face: Face) -> dict[str, tuple[str, UUID]]:
    """Of each type that is a Node: somebody who may read one, and its UUID."""
    ids, programme = face.counted.ids, face.counted.programme
    assert programme is not None
    return {
        "School": ("hub_a", ids["ash"]), "Hub": ("hub_a", ids["hub_a"]), "Trust": ("trust", ids["trust"]),
        "Programme": ("hub_a", programme),
    }  # fmt: skip


def kinds() -> set[str]:
    node = schema._schema.get_type("Node")
    assert isinstance(node, GraphQLInterfaceType)
    return {one.name for one in schema._schema.get_possible_types(node)}


def test_every_type_that_is_a_node_can_be_asked_for() -> None:
    assert kinds() == set(KINDS)


@pytest.mark.parametrize("kind", sorted(kinds()))
async def test_a_node_is_found_by_its_opaque_id_and_by_its_uuid(face: Face, kind: str) -> None:
    who, key = nodes(face)[kind]
    expected = {"node": {"__typename": kind, "id": node_id(kind, key)}}
    for spelling in (node_id(kind, key), str(key), str(key).upper()):
        assert await face.data(who, NODE, {"id": spelling}) == expected, spelling


@pytest.mark.parametrize("kind", sorted(kinds()))
async def test_what_is_not_yours_reads_like_what_is_not_there(face: Face, kind: str) -> None:
    _, key = nodes(face)[kind]
    told = set()
    for spelling in (node_id(kind, key), str(key), node_id(kind, uuid4()), str(uuid4())):
        answer = (await face.post("hub_b", NODE, {"id": spelling})).json()
        assert answer["data"] == {"node": None}
        told.add((answer["errors"][0]["message"], answer["errors"][0]["extensions"]["code"]))
    assert {code for _, code in told} == {"not_found"}
    by_uuid = {
        (await face.post("hub_b", NODE, {"id": str(one)})).json()["errors"][0]["message"] for one in (key, uuid4())
    }  # fmt: skip
    assert len(by_uuid) == 1


def malformed(key: UUID) -> list[str]:
    right = node_id("School", key)
    encoded = lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")  # noqa: E731
    return [
        "", " ", "x", "5", "\0", "é", "😀", "id", right + "=", right + " ", f" {right}", right[:-1], f"{right}!",
        right + "\n", f"{{{key}}}", f"urn:uuid:{key}", key.hex, f"{key} ", str(key)[:-1], f"{key}0", "0" * 10_000,
        encoded(f"Employer:{key}"), encoded(f"school:{key}"), encoded(f"Node:{key}"), encoded(f":{key}"), encoded("School:"),
        encoded(f"School:{key}:x"), encoded(f"School:{key.hex}"), encoded(f"School: {key}"), encoded("School:é"),
        base64.urlsafe_b64encode(b"\xff\xfe:" + key.bytes).decode(), "٠" * 8 + "-٠٠٠٠-٠٠٠٠-٠٠٠٠-" + "٠" * 12,
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["node", "school", "hub", "trust", "programme"])
async def test_an_id_that_is_none_is_a_bad_argument_and_is_named(face: Face, field: str) -> None:
    kind = "ID!" if field in {"node", "programme"} else "ID"
    question = f"query Q($id: {kind}) {{ {field}(id: $id) {{ id }} }}"
    for spelling in malformed(face.counted.ids["ash"]):
        answer = await face.post("hub_a", question, {"id": spelling})
        if answer.status_code == 400:  # what no text may hold is refused with the whole request
            assert answer.json()["errors"][0]["extensions"]["code"] == "bad_json", spelling
            continue
        (error,) = answer.json()["errors"]
        fault = error["extensions"]["errors"][0]
        assert (error["extensions"]["code"], fault["pointer"], fault["code"]) == (
            "invalid",
            "/id",
            "id_format",
        ), spelling
        assert error["message"] == f"Argument 'id': {fault['detail']}"


async def test_an_id_of_another_type_is_not_found(face: Face) -> None:
    for field, other in (
        ("hub", "School"),
        ("school", "Hub"),
        ("trust", "Programme"),
        ("programme", "Trust"),
    ):
        answer = await face.post(
            "hub_a", f'{{ {field}(id: "{node_id(other, face.counted.ids["ash"])}") {{ id }} }}'
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "not_found"


async def test_a_uuid_is_read_as_far_as_the_scopes_go(face: Face) -> None:
    found = nodes(face)
    face.scopes = frozenset({"programmes:read"})
    assert (await face.data("hub_a", NODE, {"id": str(found["Programme"][1])}))["node"][
        "__typename"
    ] == "Programme"
    for key in (found["School"][1], uuid4()):
        (error,) = (await face.post("hub_a", NODE, {"id": str(key)})).json()["errors"]
        assert error["extensions"] == {"code": "insufficient_scope", "required_scope": "coverage:read"}
    face.scopes = frozenset({"coverage:read"})
    assert (await face.data("hub_a", NODE, {"id": str(found["School"][1])}))["node"]["__typename"] == "School"
    (error,) = (await face.post("hub_a", NODE, {"id": str(found["Programme"][1])})).json()["errors"]
    assert error["extensions"]["required_scope"] == "programmes:read"
