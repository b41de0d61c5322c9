"""What others build on: OpenAPI, SDL, event schemas and signature vectors, as text by file name."""

import json
from collections.abc import Iterator
from pathlib import Path

from app.main import create_app
from app.settings import load
from app.webhooks import vectors


def documents() -> Iterator[tuple[str, str]]:
    """Each published file, by its path inside `openapi/`."""
    app = create_app(load())
    yield "openapi.json", json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
    yield "vectors/signatures.json", vectors.document()


def stale_files(folder: Path) -> dict[Path, str]:
    """The files under `folder` that do not say what the code says, with what they should say."""
    wanted = {folder / name: text for name, text in documents()}
    return {path: text for path, text in wanted.items() if not _says(path, text)}


def _says(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
