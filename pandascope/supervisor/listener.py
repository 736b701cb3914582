"""The API's listening socket, opened once by the supervisor and inherited by every worker.

A worker that dies takes neither the port nor the waiting connections with it.
"""

from __future__ import annotations

import errno
import socket

import psutil

from core.errors import PandaError

_BACKLOG = 2048


class PortTaken(PandaError):
    """Somebody else listens on the port."""

    code = "port_taken"


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on host and port (0: any free one). Raises PortTaken, or PandaError for an address that is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PandaError(
            f"'{host}' is not an address: {error}", field="host", remedy="choose another with --host"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except PermissionError as error:
        listener.close()
        raise PandaError(
            f"port {port} is reserved for root", field="port", remedy="choose one above 1023 with --port"
        ) from error
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            remedy = "choose another with --port (0 takes any free one), or stop that program"
            raise PortTaken(f"port {port} of {host} is taken by {_owner(port)}", field="port", remedy=remedy) from error
        raise PandaError(
            f"cannot listen on {host}: {error.strerror}", field="host", remedy="choose another with --host"
        ) from error
    return listener


def local_url(host: str, port: int) -> str:
    """Address by which programs on this machine reach a server that listens on host and port."""
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _owner(port: int) -> str:
    """Who listens on a port, as far as the system tells us."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.pid and tuple(connection.laddr)[1:2] == (port,):
            try:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:80] or process.name()
                return f"process {connection.pid} of {process.username()} ({command})"
            except psutil.Error:
                return f"process {connection.pid}"
    return "another program"
