"""What a whole fleet does to its eIM: the poll schedule of a million devices through a year, and nothing else.

``schedule_table`` takes the delays out of the agent's own schedule (``ipad_agent.policy``), ``poll_load`` draws with
them when each device polls, ``load_report`` says what that load looks like around an outage, ``load_picture`` draws
it, and ``fleet_command`` is ``ipad-agent lab fleet``.
"""
