"""Short answers next to fields and headlines: ``help.<name>`` asks, ``help.<name>.lead`` answers.

The questions are those of the product's manual.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "help.numbers": "How do phone numbers work?",
    "help.numbers.lead": "A phone number (DID, Direct Inward Dialing) lets callers reach a phone "
    "in your organization directly, without an operator. You can buy as many as you need. One "
    "comes free with your account; what others cost is not included in your payment plan.",
    "help.channels": "How many calls can come in at once?",
    "help.channels.lead": "Each number comes with 2 channels: two calls at once. A further caller "
    "hears a busy tone.",
    "help.type": "What do the types mean?",
    "help.type.lead": "Geographic: tied to a place. National: not tied to any place within a "
    "country. Mobile: as used for mobile phones. Toll free: callers pay nothing.",
    "help.labels": "What are labels for?",
    "help.labels.lead": "Tags to organize and find numbers, for example INBOUND or PRIORITY.",
    "help.paid_until": "What does Paid Until mean?",
    "help.paid_until.lead": "The last day you have already paid for. The first month is paid when "
    "the number is bought.",
    "help.min_period": "What is the minimum period?",
    "help.min_period.lead": "The minimum time you must pay for and keep the number active.",
    "help.increments": "How are calls counted?",
    "help.increments.lead": "60/1 means: the first 60 seconds are charged fully, then by the "
    "second.",
    "help.country": "For which country?",
    "help.country.lead": "The country you want the number for. State, type and area code offer "
    "what there is in it.",
    "help.state": "Which state?",
    "help.state.lead": "A state within the country, if it matters to your callers.",
    "help.area_code": "Which area code?",
    "help.area_code.lead": "The code of an area or city, for a geographic number.",
    "help.sms": "Does the number need SMS?",
    "help.sms.lead": "With this on you see only numbers that can send and receive text messages.",
}
