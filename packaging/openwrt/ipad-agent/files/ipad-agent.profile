# Where ipactl finds the agent: /var is in memory here, and /run is not everywhere.
export IPACTL_SOCKET=/var/run/ipad-agent/io.github.ipadagent
