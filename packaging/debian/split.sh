#!/bin/sh
# Which package each installed file goes to, written as dh_install wants it: the lab, and everything else.
set -eu
lab='^usr/lib/ipad-agent/ipad_agent/(lab|torture|cli/demo[a-z_]*\.py)(/|$)|^usr/lib/ipad-agent/ipad_agent/cli/demo[a-z_]*\.py$'
files=$(cd debian/tmp && find . -type f | sed 's,^\./,,' | LC_ALL=C sort)
list() { sed 's,^\(.*\)/[^/]*$,debian/tmp/& \1,'; }
echo "$files" | grep -E "$lab" | list >debian/ipad-agent-lab.install
echo "$files" | grep -vE "$lab" | list >debian/ipad-agent.install
