"""Which server a command speaks to, and which token it sends there."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from pandascope.environment import default_data_directory, find_credentials, read_environment_file, virtual_organisation
from pandascope.errors import ClientError, ServerUnreachable, Usage


def write(directory: Path, url: str, token: str = "t") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "panda.env").write_text(f"PANDA_URL={url}\nPANDA_TOKEN={token}\n")
    return directory


def test_the_environment_comes_before_the_default_directory(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://file:1")
    found = find_credentials(environ={"PANDA_URL": "http://env:2/", "PANDA_TOKEN": "e", "PANDA_DATA": str(data)})
    assert (found.url, found.token) == ("http://env:2", "e")


def test_the_address_may_be_that_of_pandas_own_client(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://env:2", "t")
    found = find_credentials(environ={"PANDA_URL": "http://env:2/server/panda", "PANDA_DATA": str(data)})
    assert (found.url, found.token) == ("http://env:2", "t")


def test_a_directory_that_is_named_comes_before_the_environment(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://file:1", "f")
    found = find_credentials(data=data, environ={"PANDA_URL": "http://env:2", "PANDA_TOKEN": "e"})
    assert (found.url, found.token) == ("http://file:1", "f")


def test_the_default_directory_is_read_without_environment(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://file:1", "f")
    assert find_credentials(environ={"PANDA_DATA": str(data)}).token == "f"


def test_a_token_of_the_environment_speaks_to_the_server_of_the_default_directory(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://file:1", "f")
    found = find_credentials(environ={"PANDA_DATA": str(data), "PANDA_TOKEN": "kate"})
    assert (found.url, found.token) == ("http://file:1", "kate")


def test_a_token_is_never_sent_to_another_server(tmp_path: Path) -> None:
    data = write(tmp_path / "d", "http://file:1", "secret")
    environ = {"PANDA_DATA": str(data)}
    assert find_credentials(environ=environ | {"PANDA_URL": "http://other:1"}).token == ""
    assert find_credentials("http://other:1", environ=environ).token == ""
    assert find_credentials("http://file:1/", environ=environ).token == "secret"
    assert find_credentials(environ=environ | {"PANDA_URL": "http://file:1"}).token == "secret"


def test_no_server_known_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="panda up") as caught:
        find_credentials(environ={"PANDA_DATA": str(tmp_path)})
    assert caught.value.exit_code == 3


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="PANDA_URL"):
        find_credentials(environ={"PANDA_URL": "localhost:25080"})


def test_a_file_without_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panda.env").write_text("PANDA_TOKEN=x\n")
    with pytest.raises(ClientError, match="PANDA_URL"):
        find_credentials(data=tmp_path, environ={})


def test_a_file_of_somebody_else_says_what_to_ask_for(tmp_path: Path) -> None:
    path = write(tmp_path / "d", "http://file:1") / "panda.env"
    path.chmod(0)
    if os.geteuid() == 0:  # root reads everything: the error is only for others
        assert read_environment_file(path)
        return
    with pytest.raises(ClientError, match="panda token create"):
        read_environment_file(path)


def test_quotes_exports_and_comments_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "panda.env"
    path.write_text("# made by hand\nexport PANDA_URL='http://x:1'\n\nPANDA_TOKEN=\"a=b\"\n")
    assert read_environment_file(path) == {"PANDA_URL": "http://x:1", "PANDA_TOKEN": "a=b"}


def test_the_default_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_directory({"XDG_DATA_HOME": "/x"}) == Path("/x/pandascope")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_directory({}) == Path("/var/lib/pandascope")


def test_the_vo_is_read_from_a_token_and_garbage_is_forgiven() -> None:
    def token(claims: object) -> str:
        return "h." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".s"

    assert virtual_organisation(token({"vo": "atlas"})) == "atlas"
    assert virtual_organisation(token({"groups": ["/cms/Role=x"]})) == "cms"
    for garbage in ("", "x", "a.b.c", "a.\xff.c", token([]), token({"groups": 5})):
        assert virtual_organisation(garbage) == ""


def test_a_token_is_not_in_the_text_of_credentials(tmp_path: Path) -> None:
    assert "secret" not in repr(find_credentials("http://x:1", "secret"))
