"""Signing in, and choosing a password."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # Signing in
    "sign_in.title": "Sign in",
    "sign_in.email": "E-mail",
    "sign_in.password": "Password",
    "sign_in.code": "Authenticator code",
    "sign_in.code.about": "Six digits. Only if you have set up a second factor.",
    "sign_in.submit": "Sign in",
    "sign_in.forgot": "Forgot your password?",
    "sign_in.ended": "Your session has ended. Sign in to go on where you were.",
    "sign_in.needed": "Sign in to see this page.",
    "sign_in.chosen": "Your password is set. You can sign in with it now.",
    # Choosing a password
    "welcome.invitation.title": "Welcome",
    "welcome.invitation.lead": "Choose a password to open your account.",
    "welcome.reset.title": "Choose a new password",
    "welcome.reset.lead": "Your old password stops working, and all your sessions end.",
    "welcome.password": "New password",
    "welcome.password.about": "At least 15 characters. A sentence works well. Pasting is fine.",
    "welcome.repeat": "New password, once more",
    "welcome.differ": "The two passwords are not the same. Type both again.",
    "welcome.submit": "Set password",
    "welcome.ask.title": "Forgot your password?",
    "welcome.ask.lead": "We send you a link to choose a new one. It works for an hour.",
    "welcome.ask.submit": "Send the link",
    "welcome.asked": "If there is a user with this e-mail, a link is on its way to it.",
}
