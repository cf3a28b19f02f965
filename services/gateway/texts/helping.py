"""Short answers next to fields and headlines: ``help.<name>`` asks, ``help.<name>.lead`` answers.

The questions are those of the product's manual.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "help.numbers": "How do phone numbers work?",
    "help.numbers.lead": "A phone number (DID, Direct Inward Dialing) lets callers reach a phone "
    "in your organization directly, without an operator. You can buy as many as you need. One "
    "comes free with your account; what others cost is not included in your payment plan.",
}
