"""The payment provider of ``make up`` in sandbox mode: our own, as a process of its own."""

from __future__ import annotations

from deploy.payment_sandbox.__main__ import serve
from deploy.payment_sandbox.faults import Faults
from deploy.payment_sandbox.settings import Settings
from deploy.payments import keys_of
from shared import config


def main() -> None:
    """Runs until SIGTERM. ``PBXIM_STRIPE_API_BASE`` says where the others look for it."""
    ours = config.load()
    keys = keys_of(ours.data / "payment_sandbox")
    settings = Settings(
        ours.data / "payment_sandbox",
        keys["secret_key"],
        keys["publishable_key"],
        f"{ours.base_url}/webhooks/stripe",
        keys["webhook_secret"],
        (ours.base_url, ours.public_url),
    )
    port = int((ours.stripe_api_base or "").rsplit(":", 1)[1])
    serve(settings, Faults(), port, parent_pipe=False)


if __name__ == "__main__":
    main()
