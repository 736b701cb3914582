"""Settings: where values come from, and what people are told when one is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.configuration import Settings, Timeouts, default_data_directory, is_loopback
from core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PANDA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PANDA_DATA", str(tmp_path))


def refusal(**overrides: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(**overrides)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) <= 12
    return caught.value


def test_defaults_bind_to_loopback_and_use_the_embedded_database():
    settings = Settings.load()
    assert (settings.host, settings.port) == ("127.0.0.1", 25080)
    assert settings.uses_embedded_database
    assert settings.monitor_is_open


def test_the_timeouts_are_those_of_the_domain_document():
    timeouts = Timeouts()
    hours = {"pending_s": 1, "defined_s": 4, "assigned_s": 12, "activated_s": 48, "starting_s": 48}
    hours |= {"urgent_activated_s": 4, "urgent_no_start_s": 2, "unstarted_since_creation_s": 168, "throttled_s": 168}
    hours |= {"sent_s": 0.5, "heartbeat_s": 2, "running_total_s": 504, "holding_user_s": 3, "holding_s": 48}
    hours |= {"holding_recoverable_s": 72}
    assert {name: getattr(timeouts, name) / 3600 for name in hours} == hours


def test_option_goes_before_environment_before_file_before_default(tmp_path, monkeypatch):
    (tmp_path / "panda.toml").write_text("port = 1001\npilots = 7\napi_workers = 5\n[timeouts]\nsent_s = 5\n")
    monkeypatch.setenv("PANDA_PORT", "1002")
    monkeypatch.setenv("PANDA_PILOTS", "8")
    monkeypatch.setenv("PANDA_TIMEOUTS__HEARTBEAT_S", "6.5")
    settings = Settings.load(port=1003, host=None)
    assert (settings.port, settings.pilots, settings.api_workers, settings.host) == (1003, 8, 5, "127.0.0.1")
    assert (settings.timeouts.sent_s, settings.timeouts.heartbeat_s) == (5, 6.5)
    origins = {name: origin for name, _, origin, _ in settings.rows()}
    assert origins["port"] == "option"
    assert origins["pilots"] == origins["timeouts.heartbeat_s"] == "environment"
    assert origins["timeouts.sent_s"] == str(tmp_path / "panda.toml")
    assert origins["timeouts.defined_s"] == "default"


def test_a_named_file_is_read_and_may_name_the_data_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("PANDA_DATA")
    monkeypatch.setenv("PANDA_CONFIG", str(tmp_path / "site.toml"))
    (tmp_path / "site.toml").write_text(f'data = "{tmp_path}/elsewhere"\n')
    assert Settings.load().data == tmp_path / "elsewhere"


def test_a_named_file_that_is_missing_is_an_error(monkeypatch):
    monkeypatch.setenv("PANDA_CONFIG", "/no/such/panda.toml")
    error = refusal()
    assert error.field == "PANDA_CONFIG"
    assert "/no/such/panda.toml" in error.detail


def test_a_wrong_value_names_key_source_and_value(tmp_path, monkeypatch):
    monkeypatch.setenv("PANDA_PORT", "abc")
    error = refusal()
    assert error.field == "port"
    assert "'abc'" in error.detail
    assert "PANDA_PORT" in error.detail
    monkeypatch.delenv("PANDA_PORT")
    (tmp_path / "panda.toml").write_text("[timeouts]\nheartbeat_s = -1\n")
    error = refusal()
    assert error.field == "timeouts.heartbeat_s"
    assert str(tmp_path / "panda.toml") in error.detail


@pytest.mark.parametrize(
    ("text", "field", "remedy"),
    [("prot = 1\n", "prot", "port"), ("[timeouts]\nheartbeat = 1\n", "timeouts.heartbeat", "timeouts.heartbeat_s")],
)
def test_an_unknown_key_in_the_file_is_an_error_with_a_suggestion(tmp_path, text, field, remedy):
    (tmp_path / "panda.toml").write_text(text)
    error = refusal()
    assert error.field == field
    assert remedy in error.remedy


def test_an_unknown_variable_is_an_error_with_a_suggestion(monkeypatch):
    monkeypatch.setenv("PANDA_TIMEOUTS__HEARTBEAT", "1")
    error = refusal()
    assert "PANDA_TIMEOUTS__HEARTBEAT" in error.field
    assert "PANDA_TIMEOUTS__HEARTBEAT_S" in error.remedy


@pytest.mark.parametrize(
    "name",
    ["PANDA_URL", "PANDA_TOKEN", "PANDA_AUTH", "PANDA_URL_SSL", "PANDA_SYS", "PANDA_PYTHONPATH", "PANDA_SERVER_URL"],
)
def test_variables_of_the_clients_are_left_alone(monkeypatch, name):
    monkeypatch.setenv(name, "x")
    Settings.load()


@pytest.mark.parametrize("text", ["port = ", "port: 25080", "\x00", "[timeouts\n"])
def test_a_file_that_is_not_toml_is_named(tmp_path, text):
    (tmp_path / "panda.toml").write_text(text)
    assert refusal().field == str(tmp_path / "panda.toml")


def test_binary_in_the_file_is_named_too(tmp_path):
    (tmp_path / "panda.toml").write_bytes(b"\xff\xfe\x00")
    assert refusal().field == str(tmp_path / "panda.toml")


def test_several_faults_are_told_at_once(monkeypatch):
    monkeypatch.setenv("PANDA_PORT", "99999")
    monkeypatch.setenv("PANDA_API_WORKERS", "0")
    text = str(refusal())
    assert "port" in text
    assert "api_workers" in text


def test_a_table_with_free_keys_is_read_from_both_sources(tmp_path, monkeypatch):
    (tmp_path / "panda.toml").write_text("[timeouts.heartbeat_by_workflow_s]\nshort = 600\n")
    assert Settings.load().timeouts.heartbeat_by_workflow_s == {"short": 600}
    monkeypatch.setenv("PANDA_TIMEOUTS__HEARTBEAT_BY_WORKFLOW_S", '{"long": 86400}')
    assert Settings.load().timeouts.heartbeat_by_workflow_s == {"short": 600, "long": 86400}


def test_the_data_directory_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Settings.load("here").data == tmp_path / "here"


def test_the_default_data_directory_depends_on_the_user(monkeypatch):
    assert default_data_directory({"PANDA_DATA": "/x"}) == Path("/x")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_directory({}) == Path("/var/lib/pandascope")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_directory({"XDG_DATA_HOME": "/home/u/d"}) == Path("/home/u/d/pandascope")


def test_the_monitor_is_closed_as_soon_as_others_can_reach_it():
    assert not Settings.load(host="0.0.0.0").monitor_is_open
    assert Settings.load(host="0.0.0.0", monitor_access="open").monitor_is_open
    assert not Settings.load(monitor_access="token").monitor_is_open
    assert [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "0.0.0.0")] == [True, True, True, False]


def test_passwords_are_not_shown():
    settings = Settings.load(database_url="postgresql+psycopg2://panda:secret@db.example/panda")
    shown = {name: value for name, value, _, _ in settings.rows()}["database_url"]
    assert shown == "postgresql+psycopg2://panda:***@db.example/panda"


@pytest.mark.parametrize("address", ["foo", "mysql://a:geheim@b/c", "postgresql+psycopg2://a:geheim@b:x/c"])
def test_a_database_address_that_is_none_is_refused_without_showing_the_password(monkeypatch, address):
    monkeypatch.setenv("PANDA_DATABASE_URL", address)
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert refused.value.field == "database_url"
    assert "postgresql+psycopg2://user:password@host" in refused.value.detail
    assert "PANDA_DATABASE_URL" in refused.value.detail
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["", "postgresql://h/n", "postgresql+psycopg2://u:p@/n?host=/run/x", "postgresql://[::1]:5432/n"]
)
def test_database_addresses_of_all_kinds_are_taken(monkeypatch, address):
    monkeypatch.setenv("PANDA_DATABASE_URL", address)
    assert Settings.load().database_url == address


def test_every_setting_is_documented():
    assert [name for name, _, _, description in Settings.load().rows() if len(description) < 10] == []


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30))
def test_no_text_in_the_environment_breaks_the_reader(text):
    for name in ("PANDA_PORT", "PANDA_TIMEOUTS__SENT_S", "PANDA_TIMEOUTS", "PANDA_SITE", "PANDA_MONITOR_ACCESS"):
        os.environ[name] = text
        try:
            Settings.load()
        except ConfigurationError as error:
            assert error.field
        finally:
            del os.environ[name]


ISSUER = {"vo": "atlas", "client_id": "c", "oidc_config_url": "https://iam.example/.well-known/openid-configuration"}


def test_external_issuers_are_tables_whose_secrets_are_not_shown(tmp_path):
    entry = "\n".join(f'{name} = "{value}"' for name, value in {**ISSUER, "client_secret": "geheim"}.items())
    (tmp_path / "panda.toml").write_text(f"[[issuers]]\n{entry}\n")
    settings = Settings.load()
    assert settings.issuers[0].client_secret == "geheim"
    rows = {name: (value, origin) for name, value, origin, _ in settings.rows()}
    assert rows["issuers"] == (1, str(tmp_path / "panda.toml"))
    assert rows["issuers[0].vo"][0] == "atlas"
    assert rows["issuers[0].client_secret"][0] == "***"


def test_without_issuers_the_table_says_what_one_may_hold():
    rows = {name: value for name, value, _, _ in Settings.load().rows()}
    assert (rows["issuers"], rows["issuers[].client_id"], rows["issuers[].role"]) == (0, "(required)", "")


@pytest.mark.parametrize(
    ("entries", "field", "said"),
    [
        ([{**ISSUER, "oidc_config_url": "http://iam.example/x"}], "issuers.0.oidc_config_url", "https"),
        ([{**ISSUER, "oidc_config_url": "nonsense"}], "issuers.0.oidc_config_url", "https"),
        ([{**ISSUER, "vo": "a:b"}], "issuers.0.vo", "match"),
        ([{"vo": "a", "client_secret": "geheim"}], "issuers.0.client_id", "missing"),
        ([{**ISSUER, "client_secret": "geheim"}] * 2, "issuers", "two entries"),
        ([{**ISSUER, "shoe_size": 42}], "issuers.0.shoe_size", "no setting"),
        ([{**ISSUER, "client_secret": ["geheim"]}], "issuers.0.client_secret", "string"),
    ],
)
def test_a_wrong_issuer_is_refused_without_showing_its_secret(monkeypatch, entries, field, said):
    monkeypatch.setenv("PANDA_ISSUERS", json.dumps(entries))
    error = refusal()
    assert error.field == field
    assert said in error.detail
    assert "geheim" not in str(error)
    assert "PANDA_ISSUERS" in error.detail
