"""``python -m ipad_agent.web``: the same as ``ipad-agent-web``."""

from __future__ import annotations

import sys

from .web_command import main

sys.exit(main())
