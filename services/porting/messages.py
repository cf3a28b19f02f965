"""What porting is told and what it tells. Port requests are not part of this version yet: the
service answers whether a number could be ported in."""

SERVICE = "porting"
