"""Spans: nothing without a collector, and with one what a real collector on loopback receives."""

from __future__ import annotations

import asyncio
import sys
import timeit

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from api.metrics import Measured
from api.request_numbers import RequestNumbers
from core import tracing
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


def spans(hook):
    found = []
    for body in hook.bodies:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        found += [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return {span.name: span for span in found}


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
