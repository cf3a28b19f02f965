"""Names of the regions that stock names by code (ISO 3166-2, of US, CA and AU)."""

from __future__ import annotations

_US = (
    "AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut"
    "|DE Delaware|DC District of Columbia|FL Florida|GA Georgia|HI Hawaii|ID Idaho"
    "|IL Illinois|IN Indiana|IA Iowa|KS Kansas|KY Kentucky|LA Louisiana|ME Maine|MD Maryland"
    "|MA Massachusetts|MI Michigan|MN Minnesota|MS Mississippi|MO Missouri|MT Montana"
    "|NE Nebraska|NV Nevada|NH New Hampshire|NJ New Jersey|NM New Mexico|NY New York"
    "|NC North Carolina|ND North Dakota|OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania"
    "|PR Puerto Rico|RI Rhode Island|SC South Carolina|SD South Dakota|TN Tennessee|TX Texas"
    "|UT Utah|VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming"
)
_CA = (
    "AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador"
    "|NS Nova Scotia|NT Northwest Territories|NU Nunavut|ON Ontario|PE Prince Edward Island"
    "|QC Quebec|SK Saskatchewan|YT Yukon"
)
_AU = (
    "ACT Australian Capital Territory|NSW New South Wales|NT Northern Territory"
    "|QLD Queensland|SA South Australia|TAS Tasmania|VIC Victoria|WA Western Australia"
)


def _table(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.split("|"))


_NAMES = {"US": _table(_US), "CA": _table(_CA), "AU": _table(_AU)}


def region_name(country: str, code: str) -> str:
    """The region's English name; the code itself where it is a name already."""
    return _NAMES.get(country, {}).get(code, code)
