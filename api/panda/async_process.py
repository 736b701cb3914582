"""`async_process`: requests to the servers themselves, which nobody answers here. Signatures as upstream (server-api.md 1.14)."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, endpoint, not_built

_FEATURE = "asynchronous requests"


@endpoint("POST")
def submit_grep_request(
    call: Call, pattern: str, log_filename: str, service_name: str | None = None, machine_name: str | None = None
) -> Result:
    """Search a log of the servers."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def submit_sleep_echo_request(call: Call, service_name: str, message: str, seconds: int = 10) -> Result:
    """Let a server sleep and answer, as a test."""
    return not_built(_FEATURE)


@endpoint("GET")
def get_result(call: Call, request_id: str) -> Result:
    """The answer to an asynchronous request."""
    return not_built(_FEATURE)
