#!/bin/sh
for word in $1; do echo "$word"; done | sort | uniq -c | awk '{ print $1, $2 }'
