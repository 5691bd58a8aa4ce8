"""A WebSocket and a stream of events that close when their session ends, wherever it was ended."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from watchword import Watchword
from watchword.fastapi import CurrentUser, install

auth = Watchword()  # WATCHWORD_* from the environment
app = FastAPI()
install(app, auth)


@app.websocket("/echo")
async def echo(socket: WebSocket, user: CurrentUser) -> None:
    await socket.accept()
    talking = asyncio.create_task(talk(socket))
    watching = asyncio.create_task(auth.watch(user))
    try:
        await asyncio.wait({talking, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await socket.close(1008, watching.result())
    finally:
        talking.cancel()
        watching.cancel()


async def talk(socket: WebSocket) -> None:
    async for text in socket.iter_text():
        await socket.send_text(text)


@app.get("/ticks")
async def ticks(user: CurrentUser) -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        watching = asyncio.create_task(auth.watch(user))
        try:
            while not watching.done():
                yield "data: tick\n\n"
                await asyncio.wait({watching}, timeout=1)
            yield f"event: end\ndata: {watching.result()}\n\n"
        finally:
            watching.cancel()

    return StreamingResponse(stream(), media_type="text/event-stream")
