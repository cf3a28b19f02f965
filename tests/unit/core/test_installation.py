"""The rules of the installation: its mode, and the clock that goes forward only."""

from shared.platform import PLATFORM, AdvanceClock, ClockAdvanced, InstallationStarted
from tests.unit.spec import given

SANDBOX = InstallationStarted(mode="sandbox")
AN_HOUR = ClockAdvanced(offset_seconds=3600)


def test_the_clock_of_a_sandbox_is_put_forward():
    given(PLATFORM, SANDBOX).when(AdvanceClock(offset_seconds=3600)).then(AN_HOUR)


def test_it_does_not_go_back_and_does_not_stand():
    for seconds in (3600, 60, -1):
        given(PLATFORM, SANDBOX, AN_HOUR).when(AdvanceClock(offset_seconds=seconds)).then()


def test_the_time_of_a_live_installation_is_real():
    live = InstallationStarted(mode="live")

    given(PLATFORM, live).when(AdvanceClock(offset_seconds=1)).refused("route_unknown")
