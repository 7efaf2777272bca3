from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ipad_agent import events
from ipad_agent.site import script_runner


@dataclass
class Heard:
    """Events with their facts, as they came."""

    all: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [id for id, _ in self.all]


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    stop = events.listen(lambda event, facts: found.all.append((event.id, dict(facts))))
    yield found
    stop()


@pytest.fixture(autouse=True)
def nothing_said_before() -> Iterator[None]:
    script_runner.forget_refusals()
    yield
    script_runner.forget_refusals()
