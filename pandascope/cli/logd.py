"""`panda logd`: takes lines of text (syslog, key=value, plain) from programs that are not Python, and ships them as records."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from typing import Annotated

import typer

from logger.delivery import Collector, token_source
from logger.relay import Relay
from logger.shipping import Bounds, Shipper
from pandascope.cli.connection import Url
from pandascope.cli.parts import TokenFile, credentials_finder
from pandascope.errors import Usage

_COMPONENT = "logd"
_CLOSE_S = 5.0


def command(
    udp: Annotated[str, typer.Option("--udp", metavar="HOST:PORT", help="Take datagrams, one line each.")] = "",
    tcp: Annotated[str, typer.Option("--tcp", metavar="HOST:PORT", help="Take connections.")] = "",
    unix: Annotated[
        Path | None, typer.Option("--socket", metavar="PATH", help="Take datagrams on a unix socket, as /dev/log does.")
    ] = None,
    spool: Annotated[
        Path | None, typer.Option("--spool", metavar="DIR", help="Where records wait while the server is away.")
    ] = None,
    peer_token_file: Annotated[
        Path | None,
        typer.Option(
            "--peer-token-file",
            metavar="FILE",
            envvar="PANDA_PEER_TOKEN_FILE",
            help="What TCP peers say in their first line; wanted when --tcp is not on loopback.",
        ),
    ] = None,
    component: Annotated[str, typer.Option("--component", help="Of lines that name no program.")] = "lines",
    url: Url = None,
    token_file: TokenFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="PANDA_DATA", help="Data directory of a `panda up`.")
    ] = None,
) -> None:
    """Take lines of text and ship them to the incident store, until SIGTERM."""
    if not (udp or tcp or unix):
        raise Usage("nowhere to listen", field="udp", remedy="give --udp, --tcp or --socket")
    find = credentials_finder(url, token_file, data)
    collector = Collector(find().url, lambda: find().token, 15.0)
    shipper = Shipper(collector, Bounds(spool=spool or ""), _COMPONENT)
    peer_token = token_source(f"file:{peer_token_file}") if peer_token_file else None
    try:
        relay = Relay(shipper, udp=udp, tcp=tcp, unix=unix or "", token=peer_token, component=component)
        listening = relay.start()
    except ValueError as error:
        raise Usage(str(error), field="tcp", remedy="see `panda logd --help`") from error
    except (OSError, socket.gaierror) as error:
        raise Usage(f"cannot listen: {error.strerror}", field="udp", remedy="choose another address") from error
    typer.echo(f"listening on {', '.join(listening)}", err=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # from a thread: a handler that takes the event's lock itself could wait for the very code it interrupted
        signal.signal(number, lambda *_: threading.Thread(target=stop.set, daemon=True).start())
    stop.wait()
    relay.stop()
    shipper.close(_CLOSE_S)
