"""Porting: whether numbers can be brought to us from another carrier."""

from __future__ import annotations

from shared.spec import ServiceSpec


def spec() -> ServiceSpec:
    """Porting in one object. Imported here, so that another service's use of our messages does not
    load all of it."""
    from services.porting import messages
    from services.porting.projections import OUR_NUMBERS
    from services.porting.service import PortingService

    return ServiceSpec(
        name=messages.SERVICE,
        aggregates=(),
        rpc=PortingService,
        processes={},
        projections=(OUR_NUMBERS,),
    )
