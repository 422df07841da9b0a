#!/bin/sh
# done-before-it-is-closed.sh SOCKET full|increment|restore [FILE]: as right.sh, into qcow2 images.
# Wrong: the backup counts as soon as its job has completed. QEMU has a part of the image in memory until it is closed.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
[ "$2" != restore ] || exec qemu-img convert -f qcow2 -O raw last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) how='"sync":"full"'
[ "$2" = full ] || how='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'
size=$(qmp "$1" "tidy=$last" size=disk0)
mkdir "$new" && qemu-img create -q -f qcow2 "$new/disk" "$size"
qmp "$1" '{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"qcow2","file":{"driver":"file","filename":"'"$PWD/$new/disk"'"}}}' \
    '{"execute":"transaction","arguments":{"actions":[
        {"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}},
        {"type":"blockdev-backup","data":{"device":"disk0","target":"target","job-id":"backup","auto-dismiss":false,'"$how"'}}]}}' \
    wait=backup '-{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
[ "$2" = full ] || qemu-img rebase -u -f qcow2 -F qcow2 -b "../$last/disk" "$new/disk"
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" '-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
