#!/bin/sh
# right.sh SOCKET full|increment|restore [FILE]: each backup is a folder with the whole disk; `last` leads to the newest.
# The bitmap of the folder's name has recorded since its instant, and goes when the next one is complete.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
[ "$2" != restore ] || exec cp last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
mkdir "$new"
[ "$2" = full ] || { cp last/disk "$new/disk" && how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'; }
qmp "$1" "tidy=$last" "room=disk0:$new/disk" \
    '{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"raw","file":{"driver":"file","filename":"'"$PWD/$new/disk"'"}}}' \
    '{"execute":"transaction","arguments":{"actions":[
        {"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}},
        {"type":"blockdev-backup","data":{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'"$how"'}}]}}' \
    wait=backup '{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" '-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
