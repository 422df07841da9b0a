#!/bin/sh
# Wrong: as right.sh, but where the bitmap of the last backup is gone it makes a full backup, and adds the next bitmap after that.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
[ "$2" != restore ] || exec cp last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
qmp "$1" "tidy=$last"
mkdir "$new"
target='{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"raw","file":{"driver":"file","filename":"'"$PWD/$new/disk"'"}}}'
begins='{"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}}'
gone='-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
backup() { echo '{"type":"blockdev-backup","data":{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'"$how"'}}'; }
if [ "$2" = increment ] && ! qmp "$1" "count=disk0/$last" > count; then
    qmp "$1" "$gone" "room=disk0:$new/disk" "$target" '{"execute":"transaction","arguments":{"actions":['"$(backup)"']}}' \
        wait=backup '{"execute":"transaction","arguments":{"actions":['"$begins"']}}' '{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
    ln -sfn "$new" next && exec mv -T next last
fi
[ "$2" = full ] || { cp last/disk "$new/disk" && how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'; }
qmp "$1" "room=disk0:$new/disk" "$target" '{"execute":"transaction","arguments":{"actions":['"$begins,$(backup)"']}}' \
    wait=backup '{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" "$gone"
