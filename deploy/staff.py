"""The back office's first person: nobody is there yet who could invite them on a page."""

from __future__ import annotations

from deploy.stores import open_store
from services.gateway import passwords
from services.gateway.mail import invitation_link
from services.gateway.people import NewUser, People
from services.gateway.state import TABLES
from services.gateway.surroundings import STAFF_ACCOUNT
from shared import sealing
from shared.clock import MachineClock
from shared.config import Settings
from shared.ids import random_id
from shared.rpc import STAFF


def invite_staff(settings: Settings, email: str, name: str) -> str:
    """Adds a person with the role staff beside a running product; answers with the link to choose
    a password, which works once, for 7 days. Asked again for the same e-mail while nothing was
    chosen, it makes a new link. Raises ``email_taken`` for somebody who has a password.
    """
    state = open_store(settings, "state", "gateway")
    state.create(TABLES)
    wrapper = sealing.Wrapper(sealing.load_key_file(settings.key_file, create=settings.sandbox))
    people = People(state, wrapper, settings.public_url, passwords.hashing_places())
    now = int(MachineClock().now().timestamp())
    known = people.by_email(email)
    waiting = known is not None and known.role == STAFF and known.password_hash is None
    user_id = known.id if known is not None and waiting else random_id("user")
    new = NewUser(
        id=user_id, account_id=STAFF_ACCOUNT, email=email.strip().lower(), name=name, role=STAFF
    )
    return invitation_link(settings.public_url, people.invite_by_link(new, now))
