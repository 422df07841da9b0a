#!/bin/sh
# two-disks.sh SOCKET full|increment|restore [FILE FILE]: as right.sh, both disks in one transaction, so of one instant.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
if [ "$2" = restore ]; then cp last/disk0 "$3"; exec cp last/disk1 "$4"; fi
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
mkdir "$new"
[ "$2" = full ] || { cp last/disk0 last/disk1 "$new" && how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'; }
target() {
    echo '{"execute":"blockdev-add","arguments":{"node-name":"target-'$1'","driver":"raw","file":{"driver":"file","filename":"'"$PWD/$new/$1"'"}}}'
}
actions() {
    echo '{"type":"block-dirty-bitmap-add","data":{"node":"'$1'","name":"'$new'","persistent":true}},
          {"type":"blockdev-backup","data":{"device":"'$1'","target":"target-'$1'","job-id":"backup-'$1'","auto-dismiss":false,'"$how"'}}'
}
qmp "$1" "tidy=$last" "room=disk0:$new/disk0" "room=disk1:$new/disk1" "$(target disk0)" "$(target disk1)" \
    '{"execute":"transaction","arguments":{"actions":['"$(actions disk0),$(actions disk1)"']}}' \
    wait=backup-disk0 wait=backup-disk1 \
    '{"execute":"blockdev-del","arguments":{"node-name":"target-disk0"}}' '{"execute":"blockdev-del","arguments":{"node-name":"target-disk1"}}'
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || for disk in disk0 disk1; do
    qmp "$1" '-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"'$disk'","name":"'"$last"'"}}'
done
