#!/bin/sh
# Wrong: the bitmap is cleared when the increment has ended. What was written meanwhile is in no increment.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
target='{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"raw","file":{"driver":"file","filename":"'"$PWD/new"'"}}}'
backup='{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'
close='{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
case $2 in
full)
    size=$(qmp "$1" tidy= size=disk0)
    rm -f new && truncate -s "$size" new
    qmp "$1" "$target" '{"execute":"transaction","arguments":{"actions":[
        {"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"since","persistent":true}},
        {"type":"blockdev-backup","data":'"$backup"'"sync":"full"}}]}}' wait=backup "$close" ;;
increment)
    cp last new
    qmp "$1" tidy=since "$target" \
        '{"execute":"blockdev-backup","arguments":'"$backup"'"sync":"bitmap","bitmap-mode":"never","bitmap":"since"}}' \
        wait=backup "$close" '{"execute":"block-dirty-bitmap-clear","arguments":{"node":"disk0","name":"since"}}' ;;
restore)
    exec cp last "$3" ;;
esac
mv new last
