"""The published contract: each operation says all a reader needs, shows an example that is true, and names its refusals."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.access.scopes import SCOPES
from app.outbox.catalogue import TYPES
from app.published import documents

Schema = dict[str, Any]
DOCUMENT: Schema = orjson.loads(documents()["openapi.json"])
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = [
    pytest.param(path, method, document, id=f"{method.upper()} {path}")
    for path, item in DOCUMENT["paths"].items()
    for method, document in item.items()
    if method in METHODS
]
FRAMED = [
    one for one in OPERATIONS if str(one.values[0]).startswith("/v1/") and "/dev/" not in str(one.values[0])
]
NO_BODY = {"revoke_token", "delete_contact"}
"""Answers with nothing in them (RFC 7009 for a revocation)."""


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _examples(said: Schema) -> Iterator[Any]:
    if "example" in said:
        yield said["example"]
    for one in said.get("examples", {}).values():
        yield one["value"]
    schema = _resolved(said.get("schema", {}))
    yield from schema.get("examples", [])
    if "example" in schema:
        yield schema["example"]


def _faults(schema: Schema, example: Any) -> list[str]:
    whole = {**schema, "components": DOCUMENT["components"]}
    return [
        f"/{'/'.join(map(str, one.path))}: {one.message[:200]}"
        for one in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(example)
    ]


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_nothing_is_left_of_the_frameworks_own_errors() -> None:
    assert "HTTPValidationError" not in orjson.dumps(DOCUMENT).decode()


def test_operation_ids_are_unique() -> None:
    ids = [one.values[2].get("operationId") for one in OPERATIONS]
    ids += [item["post"]["operationId"] for item in DOCUMENT["webhooks"].values()]
    assert len(set(ids)) == len(ids), sorted(one for one in ids if ids.count(one) > 1)


@pytest.mark.parametrize(("path", "method", "document"), OPERATIONS)
def test_an_operation_has_a_name_a_summary_and_a_description(
    path: str, method: str, document: Schema
) -> None:
    for member in ("operationId", "summary", "description", "tags"):
        assert document.get(member), f"no {member}"
    for parameter in document.get("parameters", []):
        if parameter["in"] != "path":
            assert parameter.get("description"), f"{parameter['name']} is not described"


@pytest.mark.parametrize(("path", "method", "document"), FRAMED)
def test_an_operation_states_its_scope_and_its_refusals(path: str, method: str, document: Schema) -> None:
    scope = document["x-required-scope"]
    assert scope in SCOPES
    assert document["security"] == [{"oauth2": [scope]}]
    wanted = {"401", "403", "429", "500", "422"} | ({"404"} if "{" in path else set())
    headers = {one["name"]: one for one in document.get("parameters", []) if one["in"] == "header"}
    if method in {"post", "put", "patch"}:
        wanted |= {"409", "413", "415"}
    if method == "post":
        assert headers["Idempotency-Key"]["required"]
        wanted |= {"400"}
    if "If-Match" in headers:
        wanted |= {"412"} | ({"428"} if headers["If-Match"]["required"] else set())
    assert not wanted - set(document["responses"]), wanted - set(document["responses"])
    for status in wanted:
        assert document["responses"][status]["$ref"].startswith(f"#/components/responses/Refused{status}")


@pytest.mark.parametrize(("path", "method", "document"), OPERATIONS)
def test_what_is_sent_and_answered_is_shown_by_an_example_that_is_true(
    path: str, method: str, document: Schema
) -> None:
    said = list(document.get("requestBody", {}).get("content", {}).items())
    for status, answer in document["responses"].items():
        if status.startswith("2") and document["operationId"] not in NO_BODY and status != "204":
            assert answer.get("content"), f"{status} does not say what it holds"
            said += answer["content"].items()
    for media, one in said:
        examples = list(_examples(one))
        assert examples, f"{media} has no example"
        if media == "application/json":
            for example in examples:
                assert not _faults(one.get("schema", {}), example)


def test_every_schema_of_a_body_refuses_unknown_fields() -> None:
    for one in FRAMED:
        for content in one.values[2].get("requestBody", {}).get("content", {}).values():
            schema = _resolved(content["schema"])
            if schema.get("type") == "object":
                assert schema.get("additionalProperties") is False, one.id


@pytest.mark.parametrize("name", TYPES)
def test_every_event_is_a_webhook_with_an_example_that_is_true(name: str) -> None:
    operation = DOCUMENT["webhooks"][name]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    examples = list(_examples(content))
    assert examples
    for example in examples:
        assert not _faults(content["schema"], example)
        assert example["type"] == name
    headers = {one["name"] for one in operation["parameters"]}
    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}


def test_no_other_webhook_is_promised() -> None:
    assert set(DOCUMENT["webhooks"]) == set(TYPES)
