"""A page of plain HTML and an API beside it: the page keeps itself signed in with the client that the server serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from watchword import Watchword
from watchword.fastapi import CurrentUser, install, public

PAGE = Path(__file__).with_name("index.html")
auth = Watchword()  # WATCHWORD_* from the environment
notes: defaultdict[str, list[str]] = defaultdict(list)


@asynccontextmanager
async def somebody(_: FastAPI) -> AsyncIterator[None]:
    """Somebody to sign in as; an app of yours lets people register, or has `watchword user create`."""
    await auth.users.create("ada@example.com", "correct horse battery staple")
    yield


app = FastAPI(lifespan=somebody)
install(app, auth)


class Note(BaseModel):
    """What is kept."""

    text: str = Field(min_length=1, max_length=200)


@app.get("/")
@public
async def page() -> FileResponse:
    return FileResponse(PAGE)


@app.get("/notes")
async def mine(user: CurrentUser) -> list[str]:
    return notes[user.id]


@app.post("/notes")
async def add(note: Note, user: CurrentUser) -> list[str]:
    notes[user.id].append(note.text)
    return notes[user.id]
