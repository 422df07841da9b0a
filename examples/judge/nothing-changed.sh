#!/bin/sh
# Wrong: as right.sh, but where nothing has changed it only begins a new bitmap, by two commands, and not in one transaction.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
[ "$2" != restore ] || exec cp last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
qmp "$1" "tidy=$last"
mkdir "$new"
[ "$2" = full ] || { cp last/disk "$new/disk" && how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'; }
begins='{"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}}'
gone='-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
if [ "$2" = increment ] && [ "$(qmp "$1" "count=disk0/$last")" = 0 ]; then
    qmp "$1" "$gone" '{"execute":"transaction","arguments":{"actions":['"$begins"']}}'
    ln -sfn "$new" next && exec mv -T next last
fi
qmp "$1" "room=disk0:$new/disk" \
    '{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"raw","file":{"driver":"file","filename":"'"$PWD/$new/disk"'"}}}' \
    '{"execute":"transaction","arguments":{"actions":['"$begins"',
        {"type":"blockdev-backup","data":{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'"$how"'}}]}}' \
    wait=backup '{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" "$gone"
