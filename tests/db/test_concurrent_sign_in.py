"""Concurrent use of one sign-in link, on both databases: only one request gets a session."""

import threading

from service.container import Container
from service.db.models.sign_in import SignIn
from service.domain.errors import SignInLinkExpired
from service.domain.sign_in import create_magic_link_token, redeem_link, request_sign_in, supporter_for_session
from service.domain.supporters import get_or_create_supporter
from tests.db.factories import count_rows

CLICKS = 8


def test_concurrent_clicks_on_one_link_create_one_session(any_database: Container) -> None:
    address, now = "reader@example.org", any_database.clock()
    with any_database.database.transaction() as session:
        supporter_id = get_or_create_supporter(session, address, now=now)
        request_sign_in(session, address, lang="en", now=now)
        token = create_magic_link_token(session, session.query(SignIn).one(), now)
    secrets: list[str] = []
    refused: list[SignInLinkExpired] = []
    barrier = threading.Barrier(CLICKS, timeout=60)

    def click() -> None:
        barrier.wait()
        try:
            with any_database.database.transaction() as session:
                secrets.append(redeem_link(session, token, now=now))
        except SignInLinkExpired as error:
            refused.append(error)

    threads = [threading.Thread(target=click) for _ in range(CLICKS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(secrets), len(refused)) == (1, CLICKS - 1)
    with any_database.database.read_only() as session:
        assert supporter_for_session(session, secrets[0], now=now) == supporter_id
        assert count_rows(session, SignIn) == 1
