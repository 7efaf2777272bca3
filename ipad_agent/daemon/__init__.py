"""The process: configuration in, an agent that runs until SIGTERM, its local interfaces, and what systemd is told.

It may import every room but the lab and the command line. ``process.run_daemon`` leaves it.
"""
