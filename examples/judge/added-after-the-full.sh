#!/bin/sh
# Wrong: the bitmap is added when the full backup has ended. What was written since its instant is in no increment.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
target='{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"raw","file":{"driver":"file","filename":"'"$PWD/new"'"}}}'
backup='{"execute":"blockdev-backup","arguments":{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'
close='{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
case $2 in
full)
    size=$(qmp "$1" tidy= size=disk0)
    rm -f new && truncate -s "$size" new
    qmp "$1" "$target" "$backup"'"sync":"full"}}' wait=backup "$close" \
        '{"execute":"block-dirty-bitmap-add","arguments":{"node":"disk0","name":"since","persistent":true}}' ;;
increment)
    cp last new
    qmp "$1" tidy=since "$target" "$backup"'"sync":"incremental","bitmap":"since"}}' wait=backup "$close" ;;
restore)
    exec cp last "$3" ;;
esac
mv new last
