#!/bin/sh
# Which package each installed file goes to, written as dh_install wants it: the lab, the web page, and everything else.
set -eu
modules='usr/lib/ipad-agent/ipad_agent'
lab="^$modules/(lab|torture|fleet)/|^$modules/cli/demo[a-z_]*\.py$"
web="^$modules/web/|/ipad-agent-web(\.[a-z0-9]+)?$"
files=$(cd debian/tmp && find . -type f | sed 's,^\./,,' | LC_ALL=C sort)
list() { sed 's,^\(.*\)/[^/]*$,debian/tmp/& \1,'; }
echo "$files" | grep -E "$lab" | list >debian/ipad-agent-lab.install
echo "$files" | grep -E "$web" | list >debian/ipad-agent-web.install
echo "$files" | grep -vE "$lab|$web" | list >debian/ipad-agent.install
