"""Spans for OpenTelemetry, where its SDK is installed and OTEL_EXPORTER_OTLP_ENDPOINT is set; nothing otherwise.

Knows names and attributes only. Attributes hold what is bounded (routes, states, counts), never a job, a user or a text.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

log = logging.getLogger("panda.tracing")

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Span:
    """A piece of work that is traced; without tracing it takes notes that nobody reads."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        """The number of its trace in hex, as every tool shows it; empty without tracing."""
        return f"{self._span.get_span_context().trace_id:032x}" if self._span is not None else ""

    def name(self, name: str) -> None:
        """Call it by what it turned out to be."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, **attributes: str | int | float | bool) -> None:
        """Say something about it."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def failed(self, why: str) -> None:
        """Mark it as failed."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, why))


_NOTHING = Span()


def is_on() -> bool:
    """Whether anybody traces."""
    return _tracer() is not None


@contextmanager
def span(name: str, parent: Mapping[str, str] | None = None, **attributes: str | int | float | bool) -> Iterator[Span]:
    """Trace the block. `parent`: headers of a request whose `traceparent` it continues; else the block around it."""
    tracer = _tracer()
    if tracer is None:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.INTERNAL if parent is None else SpanKind.SERVER
    # what stands in an error may name a job, a user or a secret: of it only its kind is told
    with tracer.start_as_current_span(
        name,
        context=_context_of(parent),
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as found:
        work = Span(found)
        try:
            yield work
        except Exception as error:
            work.failed(type(error).__name__)
            raise


def past(name: str, seconds: float, *, failed: str = "", **attributes: str | int | float | bool) -> None:
    """Trace work that ended just now and took so long; for work of which only the end tells whether it is worth a span."""
    if (tracer := _tracer()) is None:
        return
    end = time.time_ns()
    found = tracer.start_span(name, start_time=end - round(seconds * 1e9), attributes=attributes)
    if failed:
        Span(found).failed(failed)
    found.end(end)


def trace_id() -> str:
    """The number of the trace of the block around, in hex; empty without tracing."""
    if _tracer() is None:
        return ""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def outgoing() -> dict[str, str]:
    """Headers that let a receiver continue the trace of the block around; none without tracing."""
    if _tracer() is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


def _context_of(parent: Mapping[str, str] | None) -> Any:
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(dict(parent))


@cache
def _tracer() -> Any:
    """What makes spans in this process; None when nobody traces. Made at the first span, so after any fork."""
    if not os.environ.get(_ENDPOINT):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("%s is set, but nothing is traced: %s (pip install opentelemetry-exporter-otlp)", _ENDPOINT, error)
        return None
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
    provider = TracerProvider(resource=Resource({"service.name": "pandascope"}).merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("pandascope")
