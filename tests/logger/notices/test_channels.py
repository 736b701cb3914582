"""Slack's JSON, letters and signed JSON of incidents whose texts are meant to do harm; real receivers on loopback."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from core.configuration import Settings
from core.notices.post import Door, NotNow, post
from core.workload_settings import MailSettings
from logger.notices.channels import slack, webhook
from logger.notices.channels.http import post as http_post
from logger.notices.channels.mail import MailChannel, letter
from logger.notices.channels.slack import SlackChannel
from logger.notices.message import INCIDENT_COLUMNS, Item, Known, Message
from logger.notices.sending import addressed, deliver
from logger.notices.texts import body, subject
from tests.support.certificates import loopback_certificate, server_context
from tests.support.hooks import http_hook
from tests.support.mail import smtp_sink
from tests.support.secure_mail import secure_smtp_sink

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
EVIL = "boom\r\nBcc: victim@example.org\r\n\r\n<!channel> <@U123> *all* `rm` \x1b[2J\u202e =?utf-8?q?hid?= <http://x|y>"


def incident(incident_id=5, **columns):
    known = dict.fromkeys(INCIDENT_COLUMNS, "") | {
        "incident_id": incident_id,
        "severity": "error",
        "title": "disk full",
    }
    counts = {name: 0 for name in INCIDENT_COLUMNS if name.endswith("_count")}
    return {**known, **counts, **columns}


def message(*incidents, channel="webhook", target="http://127.0.0.1/", **columns):
    route = {"route_id": 1, "name": "ops", "channel": channel, "target": target, "secret_name": "", "options": {}}
    items = tuple(Item(number, "opened", NOW, "server", "", one) for number, one in enumerate(incidents, 1))
    return Message("m1", route, items, NOW, monitor_url="https://panda.example.org", **columns)


EVIL_INCIDENT = incident(
    title=EVIL, culprit_line=EVIL, computing_site=EVIL, verdict="site", verdict_value=EVIL, owner=EVIL
)


def test_no_title_becomes_a_header_of_a_letter():
    found = letter(message(EVIL_INCIDENT, channel="mail", target="ops@example.org"), "panda@example.org")
    raw = found.as_bytes()
    head = raw.split(b"\n\n", 1)[0]
    assert b"\nBcc" not in raw.split(b"\n\n", 1)[0] and found["Bcc"] is None
    assert [line.split(b":")[0] for line in head.split(b"\n") if line[:1].isalpha()] == [
        *(b"Subject", b"From", b"To", b"Date", b"Message-ID", b"Auto-Submitted"),
        *(b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"),
    ]
    assert "\x1b" not in found.get_content() and "\u202e" not in found.get_content()
    assert found["Message-ID"] == "<notice-m1@example.org>"


def test_slack_shows_what_others_wrote_and_obeys_none_of_it():
    found = orjson.dumps(slack.document(message(EVIL_INCIDENT))).decode()
    assert "<!channel>" not in found and "<@U123>" not in found and "<http://x" not in found
    assert "&lt;!channel&gt;" in found
    assert "\\u001b" not in found and "\u202e" not in found
    sections = slack.document(message(EVIL_INCIDENT))["blocks"]
    links = [part for section in sections for part in section["text"]["text"].split("<")[1:]]
    assert [link.split("|")[0] for link in links] == ["https://panda.example.org/incident/5/"]


@pytest.mark.parametrize("column", ["title", "culprit_line", "verdict_value", "owner"])
@pytest.mark.parametrize(
    "words",
    [
        "*bold*",
        "_slanted_",
        "~struck~",
        "`code`",
        "@channel",
        "say (@here)",
        "[see](http:",
        "![x](y)",
        "http://x",
        "www.x.y",
    ],
)
def test_no_chat_finds_mark_up_mentions_or_links_in_what_others_wrote(column, words):
    found = slack.document(message(incident(verdict="site", **{column: words})))
    parts = [
        found["text"],
        *(block["text"]["text"].replace("https://panda.example.org", "") for block in found["blocks"]),
    ]
    assert all(words not in part for part in parts)
    assert any(words.replace("&", "") in part.replace("\u200b", "") for part in parts)
    assert all(block["text"]["verbatim"] is True for block in found["blocks"])


def test_an_address_of_a_person_stays_what_it_was():
    found = slack.document(message(incident(culprit_line="mail ann@example.org")))
    assert "ann@example.org" in found["blocks"][-1]["text"]["text"]


def test_a_long_message_fits_into_the_limits_of_slack_without_tearing_a_link():
    many = [incident(number, title="x & y " * 40, culprit_line="<" * 400) for number in range(1, 201)]
    found = slack.document(message(*many, is_late=True))
    texts = [block["text"]["text"] for block in found["blocks"]]
    assert len(texts) <= 50 and max(map(len, texts)) <= 3000
    assert all(text.count("<") == text.count(">") for text in texts)
    assert all(f"/incident/{number}/|" in "".join(texts) for number in range(1, 201))


def test_texts_name_the_worst_and_everything_that_happened():
    mixed = message(incident(1), incident(2, severity="critical", job_count=412, verdict="site", verdict_value="CERN"))
    assert subject(mixed) == "[critical] 2 incidents changed since 2026-11-26 12:00 UTC"
    text = body(mixed)
    assert text.index("#2") < text.index("#1") and "412 jobs" in text and "verdict: site CERN" in text
    assert "https://panda.example.org/incident/2/" in text


def test_a_letter_reaches_the_server():
    with smtp_sink() as sink:
        channel = MailChannel(MailSettings(server=sink.address, sender="panda@example.org"))
        outcome = channel.send(message(incident(), channel="mail", target="ops@example.org"), "")
    assert outcome.known is Known.TAKEN
    assert sink.recipients == ["ops@example.org"] and sink.letters[0]["Subject"] == "[error] opened: disk full"


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ({"RCPT": b"450 later"}, Known.NOT_NOW),
        ({"RCPT": b"550 never"}, Known.NEVER),
        ({"END": b"451 no"}, Known.NOT_NOW),
    ],
)
def test_what_the_mail_server_answers_decides(answers, known):
    with smtp_sink() as sink:
        sink.answers = answers
        channel = MailChannel(MailSettings(server=sink.address))
        assert channel.send(message(incident(), channel="mail", target="ops@example.org"), "").known is known


def test_a_mail_server_that_hangs_up_after_the_letter_may_have_it():
    with smtp_sink() as sink:
        sink.hangs_up_after_letter = True
        channel = MailChannel(MailSettings(server=sink.address))
        found = channel.send(message(incident(), channel="mail", target="ops@example.org"), "")
    assert found.known is Known.UNKNOWN


def test_a_password_goes_nowhere_without_tls_and_a_refused_one_waits():
    found = letter(message(incident(), channel="mail", target="ops@example.org"), "panda@example.org")
    with pytest.raises(NotNow, match="over TLS only"):
        post(Door("mail.example.org", "none", "panda", "s3cret"), found)
    with smtp_sink() as sink, pytest.raises(NotNow):
        post(Door(sink.address, "starttls", "panda", "s3cret"), found)  # it knows no STARTTLS
    assert sink.letters == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return loopback_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_the_server_is_logged_in_at_over_tls(certificate, monkeypatch, tls):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with secure_smtp_sink(certificate, from_the_first_byte=tls == "tls") as sink:
        channel = MailChannel(MailSettings(server=sink.address, tls=tls, user="panda", password="s3cret"))
        told = message(incident(), channel="mail", target="ops@example.org")
        assert channel.send(told, "").known is Known.TAKEN
        wrong = MailChannel(MailSettings(server=sink.address, tls=tls, user="panda", password="guess"))
        assert wrong.send(told, "").known is Known.NOT_NOW  # whoever mends the settings finds it waiting
    assert sink.logins == [("panda", "s3cret"), ("panda", "guess")] and not sink.was_in_the_clear
    assert len(sink.letters) == 1


def test_a_mail_server_that_nobody_vouches_for_gets_neither_password_nor_letter(certificate):
    with secure_smtp_sink(certificate) as sink:
        channel = MailChannel(MailSettings(server=sink.address, tls="starttls", user="panda", password="s3cret"))
        found = channel.send(message(incident(), channel="mail", target="ops@example.org"), "")
    assert found.known is Known.NOT_NOW and "certificate" in found.answer.lower()
    assert sink.logins == [] and sink.letters == []


def test_a_webhook_over_https_is_trusted_or_gets_nothing(certificate, monkeypatch):
    with http_hook(tls=server_context(certificate)) as hook:
        stranger = http_post(hook.address, b"{}", {}, timeout_s=20, allow_private=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known = http_post(hook.address, b"{}", {}, timeout_s=20, allow_private=True)
        named = http_post(hook.address.replace("127.0.0.1", "127.0.0.2"), b"{}", {}, timeout_s=20, allow_private=True)
    assert [stranger.known, known.known, named.known] == [Known.NOT_NOW, Known.TAKEN, Known.NOT_NOW]
    assert len(hook.bodies) == 1


def test_slack_may_have_its_address_as_a_secret():
    with http_hook() as hook:
        settings = Settings(notices={"secrets": {"chat": hook.address}})
        sent = message(incident(), channel="slack", target="")
        sent.route["secret_name"] = "chat"
        outcome = deliver(
            addressed(sent, settings), {"slack": SlackChannel(settings.notices)}, settings.notices.secrets
        )
    assert outcome.known is Known.TAKEN and hook.messages[0]["text"] == "[error] opened: disk full"


def test_a_webhook_gets_the_incident_as_it_is():
    told = webhook.document(message(incident(culprit_line=EVIL)))
    assert told["changes"][0]["incident"]["culprit_line"] == EVIL  # JSON carries it unharmed; it is data there
    assert webhook.signature(b"x", "a") != webhook.signature(b"x", "b")


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("http://127.0.0.1:1/", Known.NOT_NOW),
        ("http://no-such-host.invalid/", Known.NOT_NOW),
        ("http://[::1", Known.NOT_NOW),
        ("", Known.NOT_NOW),
        ("hooks.example.org/T0/secret", Known.NOT_NOW),
        ("ftp://127.0.0.1/T0/secret", Known.NOT_NOW),
        ("http://127.0.0.1:secret/", Known.NOT_NOW),
    ],
)
def test_an_address_where_nobody_answers_has_taken_nothing(url, known):
    found = http_post(url, b"{}", {}, timeout_s=1, allow_private=True)
    assert found.known is known and "secret" not in found.answer


def test_a_secret_address_that_is_none_is_not_shown_to_readers():
    with http_hook() as hook:
        found = http_post(f"{hook.address}services/T0 secret\n", b"{}", {}, timeout_s=1, allow_private=True)
    assert found.known is Known.NOT_NOW and "secret" not in found.answer and not hook.bodies


def test_a_receiver_without_its_certificate_gets_nothing():
    with http_hook() as hook:
        url = hook.address.replace("http:", "https:")
        assert http_post(url, b"{}", {}, timeout_s=1, allow_private=True).known is Known.NOT_NOW
    assert hook.bodies == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "localhost"])
def test_where_private_addresses_are_forbidden_none_is_called(address):
    found = http_post(f"http://{address}/", b"{}", {}, timeout_s=1, allow_private=False)
    assert found.known is Known.NEVER and "private" in found.answer


def test_a_receiver_that_answers_byte_by_byte_holds_nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        drip = threading.Thread(target=_drip, args=(server,), daemon=True)
        drip.start()
        started = time.monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert http_post(url, b"{}", {}, timeout_s=1, allow_private=True).known is Known.UNKNOWN
        assert time.monotonic() - started < 15
        drip.join(5)


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("120", 120, 120),
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 80_000, 86_400, id="a day from now"
        ),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        *((words, 0, 0) for words in ("soon", "-5", "1e9", "99999999999", "Wed, 99 Zzz 9999999 07:28:00 GMT")),
    ],
)
def test_a_receiver_says_when_in_seconds_or_as_a_date(wish, least, most):
    with http_hook() as hook:
        hook.status, hook.answer_headers = 429, {"Retry-After": wish}
        found = http_post(hook.address, b"{}", {}, timeout_s=20, allow_private=True)
    assert found.known is Known.NOT_NOW and least <= found.retry_after_s <= most


def _drip(server):
    client = server.accept()[0]
    try:
        for sign in b"HTTP/1.1" + b" " * 600:
            client.sendall(bytes([sign]))
            time.sleep(0.05)
    except OSError:
        client.close()
