"""Your sign-in: password, second factor, sessions."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "you.title": "Your sign-in",
    "you.email": "E-mail",
    "you.role": "Role",
    "you.factor": "Second factor",
    "you.factor.is_on": "On",
    "you.factor.is_off": "Off",
    "you.factor.on.lead": "Signing in takes your password and a code of your authenticator.",
    "you.factor.off.lead": "Signing in takes your password alone. With a second factor it also "
    "takes a code that an app on your phone shows: a stolen password is not enough then.",
    "you.must": "Staff needs a second factor, because it reaches every account: set it up "
    "to go on.",
    "you.looking": "While you are looking at an account, nothing here can be changed.",
    "you.enrolled": "Your second factor is on. You need a code whenever you sign in.",
    "you.removed": "Your second factor is off. Your password is enough to sign in.",
    "you.removed.must": "Your second factor is off.",
    "you.password": "Password",
    "you.password.about": "At least 15 characters, and known to nobody else.",
    "you.password.change": "Change",
    "you.changed": "Your password is changed. You are signed out everywhere else.",
    "you.sessions": "Where you are signed in",
    "you.session.since": "Since {since}",
    "you.session.seen": "Last seen {seen}",
    "you.session.current": "Here",
    "you.sessions.end": "Sign out everywhere else",
    "you.ended": "You are signed out everywhere else.",
    "you.set_up": "Set up",
    "you.remove": "Remove",
    # Another password
    "you.password.title": "Change your password",
    "you.password.lead": "You stay signed in here, and are signed out everywhere else.",
    "you.password.current": "Your password until now",
    "you.password.wrong": "This is not your password. Type the one that you sign in with.",
    "you.password.submit": "Change it",
    "you.password.back": "Keep it",
    # Setting it up
    "you.set_up.title": "Set up your second factor",
    "you.set_up.app": "Install an authenticator app on your phone, if you have none. Any app for "
    "one-time codes will do.",
    "you.set_up.scan": "Scan this QR code with it.",
    "you.set_up.qr": "QR code of the secret below",
    "you.set_up.type": "Or type or paste the secret:",
    "you.set_up.copy": "Copy the secret",
    "you.set_up.code": "Type the code that the app shows now.",
    "you.set_up.submit": "Turn on",
    "you.set_up.keep": "Keep the secret in a safe place, too: with it another phone shows the same "
    "codes, should you lose this one.",
    # A code
    "you.code": "Code",
    "you.code.about": "Six digits. They change every 30 seconds.",
    "you.code.form": "A code is six digits. Type those that your authenticator shows now.",
    "you.code.wrong": "This code is wrong or was used already. Type the next one that your "
    "authenticator shows. If none is right, see whether your phone has the right time.",
    # Removing it
    "you.removal.title": "Remove your second factor",
    "you.removal.lead": "Your password alone is enough to sign in then.",
    "you.removal.must": "Staff needs a second factor: without one you can do nothing but set up "
    "another.",
    "you.removal.submit": "Remove it",
    "you.removal.back": "Keep it",
}
