"""Settings: parsing, defaults, error messages, and no secrets in them."""

import pytest

from service.setting_values import SettingsError
from service.settings import DEMO_KEY, Settings, read_settings

VALID = {
    "DATABASE_URL": "postgresql://u:hidden@host/name",
    "SECRET_KEYS": "hidden-key-hidden-key-hidden-key-0123456789",
}


def read(**values: str) -> Settings:
    return read_settings(VALID | values)


def test_defaults_configure_demo() -> None:
    settings = read_settings({})
    assert settings.database_url == "sqlite:///var/mainstay.db"
    assert settings.uses_dev_outbox
    assert settings.mail.sender == "Mainstay <support@localhost>"
    assert settings.public_url == "http://localhost:8000"
    assert settings.secret_keys == (DEMO_KEY,)
    assert (settings.gateway, settings.redis_url, settings.month_seconds) == ("sandbox", None, None)
    assert (settings.port, settings.web_concurrency, settings.trusted_proxies) == (8000, 2, 0)
    assert settings.log_level == "info"


@pytest.mark.parametrize("name", ["DATABASE_URL", "MAIL_URL", "PUBLIC_URL", "PORT", "LOG_LEVEL", "MONTH_SECONDS"])
def test_empty_value_counts_as_unset(name: str) -> None:
    assert read_settings({name: " "}) == read_settings({})


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@host:5432/name", "postgresql+psycopg://u:p@host:5432/name"),
        (
            "postgres://u:p%40%2F@host/name?sslmode=require",
            "postgresql+psycopg://u:p%40%2F@host/name?sslmode=require",
        ),
        ("postgresql://host/name", "postgresql+psycopg://host/name"),
        ("postgresql+psycopg://host/name", "postgresql+psycopg://host/name"),
        ("postgresql:///name?host=/run/postgresql", "postgresql+psycopg:///name?host=/run/postgresql"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite+pysqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("sqlite://", "sqlite://"),
        ("SQLITE:///A.db", "sqlite:///A.db"),
        ("Postgres://U@host/Name", "postgresql+psycopg://U@host/Name"),
    ],
)
def test_database_url_variants_are_accepted(given: str, used: str) -> None:
    assert read(DATABASE_URL=given).database_url == used


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user", "password"),
    [
        ("smtp://mail.example", "mail.example", 587, "starttls", None, None),
        ("smtp://mail.example:465", "mail.example", 465, "implicit", None, None),
        ("smtp://mail.example?tls=implicit", "mail.example", 465, "implicit", None, None),
        ("smtp://mail.example?tls=none", "mail.example", 25, "none", None, None),
        ("smtp://mail.example:2525?tls=starttls", "mail.example", 2525, "starttls", None, None),
        ("smtp://user:pass@mail.example:587", "mail.example", 587, "starttls", "user", "pass"),
        ("smtp://a%40b.example:p%3A%2F%23@mail.example", "mail.example", 587, "starttls", "a@b.example", "p:/#"),
        ("smtp://user@mail.example", "mail.example", 587, "starttls", "user", None),
        ("smtp://[::1]:1025?tls=none", "::1", 1025, "none", None, None),
        ("SMTP://mail.example", "mail.example", 587, "starttls", None, None),
    ],
)
def test_mail_url_is_parsed(
    url: str, host: str, port: int, tls: str, user: str | None, password: str | None
) -> None:
    server = read(MAIL_URL=url).mail.server
    assert server is not None
    assert (server.host, server.port, server.tls, server.user, server.password) == (
        host,
        port,
        tls,
        user,
        password,
    )


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({"PUBLIC_URL": "https://support.paper.example"}, "support.paper.example"),
        ({"PUBLIC_URL": "https://Support.Paper.example:8443/"}, "support.paper.example"),
        ({"PUBLIC_URL": "https://zeitung.bücher.example"}, "zeitung.xn--bcher-kva.example"),
        ({"PUBLIC_URL": "http://192.0.2.1:8000"}, "[192.0.2.1]"),
        ({"PUBLIC_URL": "http://[2001:db8::1]:8000"}, "[IPv6:2001:db8::1]"),
        ({"HEROKU_APP_DEFAULT_DOMAIN_NAME": "app-1.herokuapp.example"}, "app-1.herokuapp.example"),
        ({}, "localhost"),
        ({"MAIL_EHLO": " "}, "localhost"),
        ({"MAIL_EHLO": "Mail.Paper.Example", "PUBLIC_URL": "https://support.paper.example"}, "mail.paper.example"),
        ({"MAIL_EHLO": "mail"}, "mail"),
        ({"MAIL_EHLO": "4.mail.paper.example"}, "4.mail.paper.example"),
        ({"MAIL_EHLO": "post.bücher.example"}, "post.xn--bcher-kva.example"),
        ({"MAIL_EHLO": "[192.0.2.1]"}, "[192.0.2.1]"),
        ({"MAIL_EHLO": "[ipv6:2001:DB8:0::1]"}, "[IPv6:2001:db8::1]"),
    ],
)
def test_ehlo_name_is_the_setting_or_the_host_of_public_url(given: dict[str, str], used: str) -> None:
    server = read(MAIL_URL="smtp://mail.example", **given).mail.server
    assert server is not None
    assert server.ehlo_name == used


@pytest.mark.parametrize("url", ["outbox:", "outbox"])
def test_outbox_url_means_no_server(url: str) -> None:
    assert read(MAIL_URL=url).uses_dev_outbox


INVALID = [
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("PORT", "80.0"),
    ("PORT", "-80"),
    ("PORT", "٨٠"),
    ("PORT", "9" * 5000),
    ("WEB_CONCURRENCY", "0"),
    ("WEB_CONCURRENCY", "many"),
    ("TRUSTED_PROXIES", "yes"),
    ("TRUSTED_PROXIES", "-1"),
    ("TRUSTED_PROXIES", "11"),
    ("LOG_LEVEL", "loud"),
    ("MONTH_SECONDS", "0"),
    ("MONTH_SECONDS", "1.5"),
    ("GATEWAY", "cash"),
    ("DATABASE_PREPARES", "on"),
    ("DATABASE_POOL", "0"),
    ("DATABASE_POOL", "101"),
    ("DATABASE_POOL_OVERFLOW", "-1"),
    ("MIGRATION_DATABASE_URL", "mysql://host/name"),
    ("MIGRATION_DATABASE_URL", "sqlite:///other.db"),
    ("DATABASE_URL", "mysql://host/name"),
    ("DATABASE_URL", "mainstay.db"),
    ("DATABASE_URL", "postgres:"),
    ("DATABASE_URL", "postgresql://host:port/name"),
    ("DATABASE_URL", "postgresql://[::1/name"),
    ("MAIL_URL", "mail.example"),
    ("MAIL_URL", "https://mail.example"),
    ("MAIL_URL", "smtp://"),
    ("MAIL_URL", "smtp://mail.example:port"),
    ("MAIL_URL", "smtp://mail.example:99999"),
    ("MAIL_URL", "smtp://[::1"),
    ("MAIL_URL", "smtp://mail.example?tls=maybe"),
    ("MAIL_URL", "smtp://mail.example?tls="),
    ("MAIL_URL", "smtp://mail.example?ssl=1"),
    ("MAIL_EHLO", "mail paper.example"),
    ("MAIL_EHLO", "mail.paper.example\r\nMAIL FROM:<a@b.example>"),
    ("MAIL_EHLO", "mail..paper.example"),
    ("MAIL_EHLO", "mail.paper.example."),
    ("MAIL_EHLO", ".mail.paper.example"),
    ("MAIL_EHLO", "-mail.paper.example"),
    ("MAIL_EHLO", "my_host.paper.example"),
    ("MAIL_EHLO", "https://paper.example"),
    ("MAIL_EHLO", "paper.example:25"),
    ("MAIL_EHLO", "support@paper.example"),
    ("MAIL_EHLO", f"{'a' * 64}.example"),
    ("MAIL_EHLO", ".".join(["a" * 60] * 5)),
    ("MAIL_EHLO", "192.0.2.1"),
    ("MAIL_EHLO", "2001:db8::1"),
    ("MAIL_EHLO", "[192.0.2.256]"),
    ("MAIL_EHLO", "[192.0.2]"),
    ("MAIL_EHLO", "[2001:db8::1]"),
    ("MAIL_EHLO", "[IPv6:192.0.2.1]"),
    ("MAIL_EHLO", "[IPv6:fe80::1%eth0]"),
    ("MAIL_EHLO", "[]"),
    ("MAIL_EHLO", "[mail.paper.example]"),
    ("MAIL_EHLO", "\u200b.example"),
    ("MAIL_FROM", "The Paper"),
    ("MAIL_FROM", "0@"),
    ("MAIL_FROM", "The Paper <a@.example>"),
    ("MAIL_FROM", "a@paper.example, b@paper.example"),
    ("MAIL_FROM", "a@paper.example;b@paper.example"),
    ("MAIL_FROM", "a@paper.example b@paper.example"),
    ("MAIL_FROM", "The Paper <a@paper.example>, News <b@paper.example>"),
    ("MAIL_FROM", "The Paper, Inc. <a@paper.example>"),
    ("MAIL_FROM", "Papers: a@paper.example;"),
    ("MAIL_FROM", "a@paper.example <b@paper.example>"),
    ("MAIL_FROM", "The Paper <a@paper.example> <b@paper.example>"),
    ("MAIL_FROM", "The Paper <a@paper.example> News"),
    ("MAIL_FROM", "a@b@paper.example"),
    ("MAIL_FROM", "a b@paper.example"),
    ("MAIL_FROM", "a@paper..example"),
    ("MAIL_FROM", "a@paper.example."),
    ("MAIL_FROM", "a@☃.example"),
    ("ALERT_EMAIL", "treasurer"),
    ("ALERT_EMAIL", "The Paper <a@paper.example>"),
    ("ALERT_EMAIL", "a@paper.example b@paper.example"),
    ("ALERT_EMAIL", "a@paper.example,b@.example"),
    ("ALERT_EMAIL", "a@b@paper.example"),
    ("ALERT_EMAIL", "a@paper.example\nBcc: c@d.example"),
    ("MAIL_RATE", "fast"),
    ("MAIL_RATE", "0"),
    ("MAIL_RATE", "nan"),
    ("MAIL_CONNECTIONS", "0"),
    ("MAIL_PER_CONNECTION", "0"),
    ("MAIL_IN_DOUBT", "drop"),
    ("SENDING_HOURS", "night"),
    ("LEASE_SECONDS", "5"),
    ("POSTMARK_WEBHOOK_LOGIN", "nobody"),
    ("SENDGRID_WEBHOOK_KEY", "key"),
    ("BREVO_WEBHOOK_TOKEN", "fifteen-letters"),
    ("ARF_MAILBOX_URL", "reports@paper.example"),
    ("ARF_MAILBOX_URL", "imap://user:password@mail.example/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://mail.example/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user@mail.example/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://:password@mail.example/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user:password@/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user:password@mail.example:port/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user:password@mail.example:0/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user:password@mail.example/INBOX?x=1"),
    ("ARF_MAILBOX_URL", "imaps://user:password@mail.example/IN%0D%0ABOX"),
    ("ARF_MAILBOX_URL", "imaps://user:pass%0Aword@mail.example/INBOX"),
    ("ARF_MAILBOX_URL", "imaps://user:password@mail.example/Entw%C3%BCrfe"),
    ("ARF_MAILBOX_URL", "imaps://[user:password@mail.example/INBOX"),
    ("BREVO_WEBHOOK_TOKEN", "a token with spaces in it"),
    ("BREVO_WEBHOOK_TOKEN", "a-tökén-that-is-not-ascii"),
    ("SES_TOPIC_ARN", "mainstay"),
    ("SES_TOPIC_ARN", "arn:aws:sqs:eu-west-1:123456789012:mainstay"),
    ("SES_TOPIC_ARN", "arn:aws:sns:s3:123456789012:mainstay"),
    ("SES_TOPIC_ARN", "arn:aws:sns:evil.example/eu-west-1:123456789012:mainstay"),
    ("SES_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:mainstay.fifo"),
    ("SES_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:mainstay:c9135db0-26c4"),
    ("MAIL_FROM", "a@b.example\nBcc: c@d.example"),
    ("PUBLIC_URL", "support.paper.example"),
    ("PUBLIC_URL", "ftp://paper.example"),
    ("PUBLIC_URL", "https://"),
    ("PUBLIC_URL", "https://[::1"),
    ("PUBLIC_URL", "https://paper.example:port"),
    ("PUBLIC_URL", "https://paper.example?a=b"),
    ("PUBLIC_URL", "https://paper.example#top"),
    ("PUBLIC_URL", "https://paper.example/support"),
    ("PUBLIC_URL", "https://user@paper.example"),
    ("PUBLIC_URL", "https://@paper.example"),
    ("PUBLIC_URL", "https://paper.example:0"),
    ("PUBLIC_URL", "https://*.paper.example"),
    ("PUBLIC_URL", "*"),
    ("PUBLIC_URL", "https://pa per.example"),
    ("PUBLIC_URL", "https://[fe80::1%25eth0]"),
    ("PUBLIC_URL", f"https://{'a' * 64}.example"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "redis://host:port"),
    ("REDIS_URL", "redis://host:0"),
    ("REDIS_URL", "redis://host:70000"),
    ("REDIS_URL", "redis://host/first"),
    ("REDIS_URL", "redis://host/0/1"),
    ("REDIS_URL", "redis://a..b"),
    ("REDIS_URL", "redis://host?socket_timeout=never"),
    ("REDIS_URL", "redis://host?tls=starttls"),
    ("REDIS_URL", "rediss://host?ssl_cert_reqs=perhaps"),
    ("REDIS_URL", "redis+sentinel://host:26379"),
    ("REDIS_URL", "unix://"),
    ("REDIS_URL", "unix://relative/redis.sock"),
    ("REDIS_URL", "unix:///run/redis.sock?db=first"),
    ("REDIS_URL", "unix:///run/redis.sock?ssl_cert_reqs=none"),
    ("REDIS_URL", "redis://host?ssl_cert_reqs=none"),
    ("REDIS_URL", "redis://host?ssl_check_hostname=true"),
    ("RATE_LIMIT", "300"),
    ("RATE_LIMIT", "0/minute"),
    ("RATE_LIMIT", "300/fortnight"),
    ("RATE_LIMIT", "²/minute"),
    ("RATE_LIMIT", "٣/minute"),
    ("CAMPAIGN_RATE_LIMIT", "600"),
]


@pytest.mark.parametrize(("name", "value"), INVALID, ids=lambda part: part[:40])
def test_invalid_value_error_names_setting_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(**{name: value})
    sentence = str(refused.value)
    assert name in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://user:hidden@host/name"),
        ("DATABASE_URL", "postgresql://user:hidden@host:port/name"),
        ("MAIL_URL", "smtp://user:hidden@host:port"),
        ("PUBLIC_URL", "https://user:hidden@paper.example"),
        ("PUBLIC_URL", "https://:hidden@paper.example/support"),
        ("REDIS_URL", "http://:hidden@host"),
        ("REDIS_URL", "redis://:hidden@host:port"),
    ],
)
def test_settings_error_does_not_contain_password(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(**{name: value})
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "real",
    [
        {"DATABASE_URL": "postgresql://host/name"},
        {"MAIL_URL": "smtp://mail.example"},
        {"DATABASE_URL": "postgresql://host/name", "SECRET_KEYS": " , "},
    ],
)
def test_secret_keys_are_required_except_for_demo(real: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="SECRET_KEYS"):
        read_settings(real)


def test_current_key_comes_first() -> None:
    new, old = "n" * 32, "o" * 32
    assert read(SECRET_KEYS=f" {new} , {old},").secret_keys == (new, old)


def test_heroku_trusts_one_proxy_by_default() -> None:
    heroku = {"DYNO": "web.1", "MAIL_URL": "smtp://mail.example", "PUBLIC_URL": "https://support.paper.example"}
    assert read(**heroku).trusted_proxies == 1
    assert read(**heroku, TRUSTED_PROXIES="2").trusted_proxies == 2


def test_mail_defaults_are_one_connection_without_rate_in_sending_hours() -> None:
    mail = read().mail
    assert (mail.rate, mail.connections, mail.max_per_connection, mail.lease_seconds) == (None, 1, 100, 60)
    assert (mail.respect_sending_hours, mail.hold_uncertain, mail.postmark_credentials, mail.mailgun_key) == (
        True,
        False,
        None,
        None,
    )
    mail = read(MAIL_RATE="2.5", MAIL_CONNECTIONS="4", MAIL_IN_DOUBT="hold", SENDING_HOURS="any").mail
    assert (mail.rate, mail.connections, mail.hold_uncertain, mail.respect_sending_hours) == (2.5, 4, True, False)
    assert read(MAIL_RATE="off").mail.rate is None


def test_demo_clock_ignores_sending_hours_by_default() -> None:
    assert not read(MONTH_SECONDS="60").mail.respect_sending_hours
    assert read(MONTH_SECONDS="60", SENDING_HOURS="campaign").mail.respect_sending_hours


def test_public_url_has_no_trailing_slash() -> None:
    assert read(PUBLIC_URL="https://paper.example/").public_url == "https://paper.example"


def test_secrets_are_not_in_repr() -> None:
    settings = read(MAIL_URL="smtp://u:hidden@h", REDIS_URL="redis://:hidden@h")
    for shown in (repr(settings), str(settings), f"{settings.mail!r}", repr(settings.mail.server)):
        assert "hidden" not in shown


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        read().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("configured", "normalised"),
    [
        ("https://Support.Paper.Example/", "https://support.paper.example"),
        ("https://support.paper.example:443", "https://support.paper.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://zeitung.bücher.example", "https://zeitung.xn--bcher-kva.example"),
        # IDNA 2003 would make it fass.example, which is another host.
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://新聞。example", "https://xn--efvv70d.example"),
        ("http://127.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_public_url_is_normalised_like_origin(configured: str, normalised: str) -> None:
    assert read(PUBLIC_URL=configured).public_url == normalised


def test_scheme_of_redis_url_is_read_in_any_case() -> None:
    assert (
        read(REDIS_URL="REDISS://host:6380?ssl_cert_reqs=none").redis_url
        == "rediss://host:6380?ssl_cert_reqs=none"
    )


def test_default_connections_of_two_web_processes_and_a_worker_are_under_twenty() -> None:
    settings = read()
    for_each = settings.database_pool + settings.database_pool_overflow
    assert (settings.web_concurrency + 1) * for_each < 20


def test_workers_with_more_smtp_connections_get_more_to_the_database() -> None:
    assert read(MAIL_CONNECTIONS="8").database_pool_overflow == 16
    assert read(MAIL_CONNECTIONS="8", DATABASE_POOL_OVERFLOW="0").database_pool_overflow == 0


def test_migrations_may_take_another_way_to_the_database() -> None:
    assert read().migration_database_url is None
    given = read(MIGRATION_DATABASE_URL="postgres://u:hidden@host:5432/name")
    assert given.migration_database_url == "postgresql+psycopg://u:hidden@host:5432/name"
    assert "hidden" not in repr(given)


@pytest.mark.parametrize(("host", "read_as"), [("[::1]", "::1"), ("::", "::"), ("0.0.0.0", "0.0.0.0")])
def test_host_may_be_written_as_in_a_url(host: str, read_as: str) -> None:
    assert read(HOST=host).host == read_as


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("support@paper.example", "support@paper.example"),
        ("The Paper <support@Paper.Example>", "The Paper <support@paper.example>"),
        ('"The Paper, Inc." <support@paper.example>', '"The Paper, Inc." <support@paper.example>'),
        ("<support@paper.example>", "<support@paper.example>"),
        ("Die Bücher <support@BÜCHER.example>", "Die Bücher <support@xn--bcher-kva.example>"),
        ("support@faß.example", "support@xn--fa-hia.example"),
        ('"a@bücher.example" <a@bücher.example>', '"a@bücher.example" <a@xn--bcher-kva.example>'),
        ("Газета <a@почта.рф>", "Газета <a@xn--80a1acny.xn--p1ai>"),
        ("Mainstay <support@localhost>", "Mainstay <support@localhost>"),
    ],
)
def test_sender_is_one_address_with_an_ascii_host(setting: str, expected: str) -> None:
    assert read_settings({"MAIL_FROM": setting}).mail.sender == expected
    assert read_settings({"ALERT_EMAIL": "a@bücher.example"}).mail.alert_recipients == ("a@xn--bcher-kva.example",)
