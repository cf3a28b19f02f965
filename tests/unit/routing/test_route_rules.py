"""The rules of a route: its channels and labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.routing.domain.route import AGGREGATE
from services.routing.messages import ChangeLabels, ConfigureRoute, LabelsChanged, RouteConfigured
from tests.unit.spec import given

CONFIGURE = ConfigureRoute(
    num_id="num_1", number="+12125550001", account_id="acct_1", max_channels=2, sms=True
)
CONFIGURED = RouteConfigured(
    num_id="num_1", number="+12125550001", account_id="acct_1", max_channels=2, sms=True
)
LABEL = ChangeLabels(num_id="num_1", account_id="acct_1", labels=("VIP", "Inbound"))
LABELLED = LabelsChanged(
    num_id="num_1", number="+12125550001", account_id="acct_1", labels=("VIP", "Inbound")
)


class TestConfiguring:
    def test_a_number_is_set_up_with_its_channels(self) -> None:
        given(AGGREGATE).when(CONFIGURE).then(CONFIGURED)

    def test_a_number_is_set_up_once(self) -> None:
        given(AGGREGATE, CONFIGURED).when(replace(CONFIGURE, max_channels=9)).then()

    @pytest.mark.parametrize("channels", [0, 101])
    def test_a_number_has_1_to_100_channels(self, channels: int) -> None:
        given(AGGREGATE).when(replace(CONFIGURE, max_channels=channels)).refused(
            "invalid_value", param="max_channels"
        )


class TestLabels:
    def test_labels_are_kept_as_written_and_in_order(self) -> None:
        given(AGGREGATE, CONFIGURED).when(LABEL).then(LABELLED)

    def test_the_same_labels_are_not_recorded_again(self) -> None:
        given(AGGREGATE, CONFIGURED, LABELLED).when(LABEL).then()

    def test_another_writing_is_a_change(self) -> None:
        lower = ("vip", "Inbound")

        given(AGGREGATE, CONFIGURED, LABELLED).when(replace(LABEL, labels=lower)).then(
            replace(LABELLED, labels=lower)
        )

    def test_labels_can_be_taken_away(self) -> None:
        given(AGGREGATE, CONFIGURED, LABELLED).when(replace(LABEL, labels=())).then(
            replace(LABELLED, labels=())
        )

    def test_of_two_that_differ_only_in_case_the_first_stays(self) -> None:
        doubled = ("VIP", "vip", "Straße", "STRASSE", "Vip")

        given(AGGREGATE, CONFIGURED).when(replace(LABEL, labels=doubled)).then(
            replace(LABELLED, labels=("VIP", "Straße"))
        )

    def test_a_number_has_at_most_20_labels(self) -> None:
        twenty = tuple(f"label {n}" for n in range(20))

        given(AGGREGATE, CONFIGURED).when(replace(LABEL, labels=twenty)).then(
            replace(LABELLED, labels=twenty)
        )
        given(AGGREGATE, CONFIGURED).when(replace(LABEL, labels=(*twenty, "one more"))).refused(
            "invalid_value", param="labels"
        )

    @pytest.mark.parametrize("label", ["", "  ", "x" * 41, "two\nlines", "nul\x00"])
    def test_a_label_has_1_to_40_characters_that_can_be_printed(self, label: str) -> None:
        given(AGGREGATE, CONFIGURED).when(replace(LABEL, labels=("ok", label))).refused(
            "invalid_value", param="labels"
        )

    def test_a_label_of_40_characters_is_taken(self) -> None:
        longest = ("é" * 40,)

        given(AGGREGATE, CONFIGURED).when(replace(LABEL, labels=longest)).then(
            replace(LABELLED, labels=longest)
        )

    def test_another_accounts_number_is_unknown(self) -> None:
        given(AGGREGATE, CONFIGURED).when(replace(LABEL, account_id="acct_2")).refused(
            "number_unknown"
        )

    def test_a_number_without_a_route_is_unknown(self) -> None:
        given(AGGREGATE).when(LABEL).refused("number_unknown")

    def test_an_edit_of_the_version_that_was_read_is_taken(self) -> None:
        given(AGGREGATE, CONFIGURED).when(replace(LABEL, if_version=1)).then(LABELLED)

    def test_an_edit_of_an_older_version_is_refused(self) -> None:
        given(AGGREGATE, CONFIGURED, LABELLED).when(replace(LABEL, if_version=1)).refused(
            "edited_meanwhile", param="labels"
        )
