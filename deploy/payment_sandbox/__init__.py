"""The payment sandbox: the part of Stripe's API that billing calls, as a process of its own.

It books test charges only, listens on 127.0.0.1 only and refuses live keys.  What it does like
Stripe, and what it leaves out, is listed in docs/reference/payment-sandbox.md.
"""
