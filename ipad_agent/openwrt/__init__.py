"""What OpenWrt needs besides the agent: UCI read as configuration, and the agent as an object on ubus.

Both are programs of their own, started by files in ``packaging/openwrt``; the daemon never imports this. They may
import the configuration and the client of the agent's socket.
"""
