"""The agent on the system bus: objects, properties, signals and verbs over D-Bus. ``docs/dbus.md`` is its manual."""

from .dbus_service import Bus

__all__ = ["Bus"]
