#!/bin/sh
# drive.sh SOCKET full|increment|restore [FILE]: as right.sh, with drive-backup: QEMU makes the target, and gives it up in
# the end. An increment has what has changed since the backup below it. Needs qemu-img.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
[ "$2" != restore ] || exec qemu-img convert -f qcow2 -O raw last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
[ "$2" = full ] || how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'
mkdir "$new"
qmp "$1" "tidy=$last" '{"execute":"transaction","arguments":{"actions":[
        {"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}},
        {"type":"drive-backup","data":{"device":"disk0","target":"'"$PWD/$new/disk"'","format":"qcow2","job-id":"backup","auto-dismiss":false,'"$how"'}}]}}' \
    wait=backup
[ "$2" = full ] || qemu-img rebase -u -f qcow2 -F qcow2 -b "../$last/disk" "$new/disk"
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" '-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
