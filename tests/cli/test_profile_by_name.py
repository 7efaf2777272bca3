"""A profile is meant by its name as by its number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipad_agent.cli.ipactl.commands.query_commands import find_profile
from ipad_agent.cli.ipactl.errors import CommandError
from ipad_agent.local.status_model import Profile
from situations import SITUATIONS

ONE = Profile("89490200002000000027", True, False, name="Operator A IoT", nickname="Pump")
OTHER = Profile("89490200003000000033", True, False, name="Operator B IoT")
TWIN = Profile("89490200004000000041", True, False, name="operator b iot")


@pytest.mark.parametrize("wanted", ["Operator A IoT", "operator a iot", "“Operator A IoT”", "pump", "0027"])
def test_a_profile_is_found_by_the_name_that_is_shown_of_it(wanted: str) -> None:
    assert find_profile(replace(SITUATIONS["ready"], profiles=(ONE, OTHER)), wanted) is ONE


@pytest.mark.parametrize("wanted", ["Operator B IoT", "Operator", "nobody", ""])
def test_a_name_that_two_profiles_or_none_have_is_not_guessed(wanted: str) -> None:
    with pytest.raises(CommandError):
        find_profile(replace(SITUATIONS["ready"], profiles=(ONE, OTHER, TWIN)), wanted)
