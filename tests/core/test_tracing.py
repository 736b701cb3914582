"""Spans: nothing without a collector, and with one what a real collector on loopback receives."""

from __future__ import annotations

import asyncio
import sys
import threading
import timeit

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from api.metrics import Measured
from api.problems import problem_of
from api.request_numbers import RequestNumbers
from core import tracing
from core.agents.base import run_loops
from core.errors import InvalidInput
from pandascope.transport import AsyncTransport, Manners, Transport
from tests.core.test_agents import Counting
from tests.support.hooks import http_hook
from tests.support.system import eventually

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch):
    with http_hook() as hook:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hook.address.removesuffix("/hook"))
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        tracing._tracer.cache_clear()
        yield hook
        tracing._tracer().span_processor.shutdown()
        tracing._tracer.cache_clear()


def all_spans(hook):
    found = []
    for body in hook.bodies:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        found += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return found


def spans(hook):
    return {span.name: span for span in all_spans(hook)}


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_without_a_collector_nothing_is_traced_and_it_costs_nothing():
    assert not tracing.is_on() and tracing.outgoing() == {}
    with tracing.span("work", queue="CERN") as span:
        span.note(count=1)
        span.failed("no")
        assert span.trace_id == ""
    assert min(timeit.repeat(lambda: tracing.span("work").__enter__(), number=2000, repeat=5)) / 2000 < 20e-6


def test_a_collector_without_the_sdk_is_said_once_and_harms_nobody(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing._tracer.cache_clear()
    try:
        with tracing.span("work"), tracing.span("inner"):
            assert not tracing.is_on()
    finally:
        tracing._tracer.cache_clear()
    assert len([one for one in caplog.records if "nothing is traced" in one.getMessage()]) == 1


def test_blocks_within_blocks_are_one_trace(collector):
    with tracing.span("outer") as outer, tracing.span("inner", queue="CERN") as inner:
        assert inner.trace_id == outer.trace_id and outer.trace_id in tracing.outgoing()["traceparent"]
        inner.failed("it broke")
    eventually(lambda: {"outer", "inner"} <= spans(collector).keys())
    found = spans(collector)
    assert found["inner"].parent_span_id == found["outer"].span_id
    assert attributes(found["inner"]) == {"queue": "CERN"} and found["inner"].status.message == "it broke"


def test_of_an_error_its_kind_is_told_and_nothing_that_stood_in_it(collector):
    with pytest.raises(ValueError, match="alice"), tracing.span("work"):
        raise ValueError("job 17 of alice")
    eventually(lambda: "work" in spans(collector))
    found = spans(collector)["work"]
    assert found.status.code == 2 and found.status.message == "ValueError"
    assert b"alice" not in b"".join(collector.bodies) and not found.events


def test_a_request_continues_the_trace_of_its_caller_and_names_it(collector, tmp_path):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def ask():
        transport = httpx.ASGITransport(Measured(app, RequestNumbers(tmp_path), {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://panda") as client:
            return await client.get("/job/17", headers={"traceparent": PARENT})

    answer = asyncio.run(ask())
    assert answer.headers["x-trace-id"] == PARENT.split("-")[1]
    span = eventually(lambda: spans(collector).get("GET unknown"))
    assert span.parent_span_id.hex() == PARENT.split("-")[2]
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "unknown",
        "http.response.status_code": 503,
    }
    assert "17" not in str(attributes(span))


def test_an_error_document_names_the_trace_of_its_request(collector, tmp_path):
    async def app(scope, receive, send):
        await problem_of(InvalidInput("no", field="x"))(scope, receive, send)

    async def ask():
        transport = httpx.ASGITransport(Measured(app, RequestNumbers(tmp_path), {}))
        async with httpx.AsyncClient(transport=transport, base_url="http://panda") as client:
            return await client.get("/job/17", headers={"traceparent": PARENT})

    answer = asyncio.run(ask())
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"] == PARENT.split("-")[1]


def test_an_error_document_without_tracing_is_as_ever():
    assert b"trace" not in problem_of(InvalidInput("no", field="x")).body


def test_a_cycle_that_did_something_or_failed_is_a_span_and_an_idle_one_is_not(collector, database):
    stop = threading.Event()
    worker = Counting("worker", [3, ValueError("job 17 of alice")])
    idle = Counting("idle")
    loops = threading.Thread(target=run_loops, args=([worker, idle], database, stop))
    loops.start()
    try:
        eventually(lambda: idle.cycles > 5 and len(all_spans(collector)) >= 2)
    finally:
        stop.set()
        loops.join()
    first, second = sorted(all_spans(collector), key=lambda span: span.start_time_unix_nano)
    assert attributes(first) == {"agent": "worker", "done": 3} and first.status.code == 0
    assert attributes(second)["agent"] == "worker" and second.status.message == "ValueError"
    assert first.end_time_unix_nano >= first.start_time_unix_nano and b"alice" not in b"".join(collector.bodies)


def test_a_client_within_a_span_says_which_trace_it_belongs_to(collector):
    heard = []

    def answer(request):
        heard.append(request.headers.get("traceparent"))
        return httpx.Response(200, json={})

    async def ask():
        async with AsyncTransport("http://panda", transport=httpx.MockTransport(answer)) as client:
            await client.get("/a")

    with tracing.span("program") as span:
        with Transport("http://panda", transport=httpx.MockTransport(answer), manners=Manners()) as client:
            client.get("/a")
            client.post("/b", {})
        asyncio.run(ask())
        assert heard == [tracing.outgoing()["traceparent"]] * 3 and span.trace_id in heard[0]
    with Transport("http://panda", transport=httpx.MockTransport(answer)) as client:
        client.get("/a")
    assert heard[3] is None
