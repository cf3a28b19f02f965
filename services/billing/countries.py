"""A country's usual time zone, for accounts that name none.

Countries with one zone are read from CLDR (Babel). For the others CLDR names no main zone, so the
zone of the largest city stands here.
"""

from __future__ import annotations

from babel.core import get_global

_MAIN = dict(
    line.split()
    for line in """
    AR America/Argentina/Buenos_Aires
    AU Australia/Sydney
    BR America/Sao_Paulo
    CA America/Toronto
    CD Africa/Kinshasa
    CL America/Santiago
    CN Asia/Shanghai
    CY Asia/Nicosia
    DE Europe/Berlin
    EC America/Guayaquil
    ES Europe/Madrid
    FM Pacific/Pohnpei
    GL America/Nuuk
    ID Asia/Jakarta
    KI Pacific/Tarawa
    KZ Asia/Almaty
    MH Pacific/Majuro
    MN Asia/Ulaanbaatar
    MX America/Mexico_City
    MY Asia/Kuala_Lumpur
    NZ Pacific/Auckland
    PF Pacific/Tahiti
    PG Pacific/Port_Moresby
    PS Asia/Gaza
    PT Europe/Lisbon
    RU Europe/Moscow
    UA Europe/Kyiv
    US America/New_York
    UZ Asia/Tashkent
    XK Europe/Belgrade
    """.strip().splitlines()
)


def default_time_zone(country: str) -> str:
    """The IANA name of the zone most people of a country (ISO 3166-1 alpha-2) live in.

    ``UTC`` for what is no country, and for the few islands that CLDR puts into none.
    """
    if country in _MAIN:
        return _MAIN[country]
    zones: dict[str, str] = dict(get_global("zone_territories"))
    return min((zone for zone, of in zones.items() if of == country), default="UTC")
