"""What others build on: OpenAPI, SDL, event schemas and signature vectors, as text by path inside `openapi/`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.secrets import new_master
from app.graphql.schema import print_sdl
from app.main import create_app
from app.outbox.catalogue import TYPES, data_schema
from app.settings import load
from app.webhooks import vectors

EVENTS = "events"


def documents() -> dict[str, str]:
    """Each published file and what it has to say, whatever the settings of this machine are. Opens nothing."""
    return dict(_documents())


def _documents() -> Iterator[tuple[str, str]]:
    app = create_app(
        load(
            env="development",
            base_url="http://127.0.0.1:8000",
            database_url="postgresql://nobody@127.0.0.1/nothing",
            secret_key=new_master(),
        )
    )
    yield "openapi.json", _pretty(app.openapi())
    yield "schema.graphql", print_sdl()
    for name, kind in TYPES.items():
        yield f"{EVENTS}/{name}.json", _pretty(data_schema(kind))
    yield "vectors/signatures.json", vectors.document()


def drift(folder: Path) -> dict[Path, str | None]:
    """The files under `folder` that do not say what the code says, with what they should; None: go."""
    wanted = {folder / name: text for name, text in documents().items()}
    found: dict[Path, str | None] = {path: text for path, text in wanted.items() if not _says(path, text)}
    gone = dict.fromkeys(path for path in (folder / EVENTS).glob("*.json") if path not in wanted)
    return found | gone


def write(folder: Path) -> list[Path]:
    """Bring the files under `folder` up to date; give those that changed."""
    changes = drift(folder)
    for path, text in changes.items():
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return list(changes)


def _pretty(document: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
