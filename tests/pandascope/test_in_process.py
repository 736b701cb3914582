"""Speaking to an ASGI application in this process, with answers that never end."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pandascope.in_process import InProcessTransport


def application(ended: asyncio.Event) -> Starlette:
    async def echo(request: Request) -> Response:
        return JSONResponse({"body": (await request.body()).decode(), "q": request.query_params.get("q")})

    async def for_ever(request: Request) -> Response:
        async def chunks():
            try:
                while True:
                    yield b"tick\n"
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return StreamingResponse(chunks())

    async def broken(request: Request) -> Response:
        raise RuntimeError("broken on purpose")

    return Starlette(
        routes=[Route("/echo", echo, methods=["POST"]), Route("/ever", for_ever), Route("/broken", broken)]
    )


def test_an_endless_answer_arrives_and_ends_when_the_reader_leaves() -> None:
    async def read() -> None:
        ended = asyncio.Event()
        async with httpx.AsyncClient(transport=InProcessTransport(application(ended)), base_url="http://x") as client:
            async with client.stream("GET", "/ever") as response:
                lines = response.aiter_lines()
                assert [await anext(lines) for _ in range(100)] == ["tick"] * 100
            await asyncio.wait_for(ended.wait(), 60)

    asyncio.run(read())


def test_bodies_and_queries_go_there_and_back() -> None:
    async def ask() -> httpx.Response:
        transport = InProcessTransport(application(asyncio.Event()))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/echo", params={"q": "ü&"}, content="päyload")

    assert asyncio.run(ask()).json() == {"body": "päyload", "q": "ü&"}


def test_a_failure_of_the_application_is_an_error_of_the_connection_or_a_500() -> None:
    async def ask() -> httpx.Response:
        transport = InProcessTransport(application(asyncio.Event()))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/broken")

    try:
        assert asyncio.run(ask()).status_code == 500
    except httpx.ReadError as error:
        pytest.fail(f"starlette answers 500 itself: {error}")


def test_an_application_without_an_answer_is_a_broken_connection() -> None:
    async def silent(scope, receive, send) -> None:
        return

    async def ask() -> None:
        async with httpx.AsyncClient(transport=InProcessTransport(silent), base_url="http://x") as client:
            await client.get("/")

    with pytest.raises(httpx.ReadError):
        asyncio.run(ask())
