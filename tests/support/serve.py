"""The API as a program for tests that need it in a process of its own: `serve DIRECTORY DATABASE_URL PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from api.app import create_app
from core.configuration import Settings

if __name__ == "__main__":
    directory, database_url, port = sys.argv[1:]
    settings = Settings(data=Path(directory), database_url=database_url)
    uvicorn.run(create_app(settings, database_url), host="127.0.0.1", port=int(port), log_level="warning")
