"""The sample situations, where the tests of the local faces look for them."""

from __future__ import annotations

from situations import *  # noqa: F403 - the same names, seen from this folder
