#!/bin/sh
# pull.sh SOCKET full|increment|restore [FILE]: QEMU offers the disk as it was at one instant, and the tool reads what it
# wants from it, over NBD; for an increment only what the bitmap of the last backup has. Needs qemu-img and qemu-io.
set -e
qmp() { python3 "${0%/*}/qmp.py" "$@"; }
nbd='"driver":"nbd","export":"pull","server":{"type":"unix","path":"'"$PWD/nbd"'"}'
[ "$2" != restore ] || exec qemu-img convert -f qcow2 -O raw last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N)
size=$(qmp "$1" '-{"execute":"nbd-server-stop"}' "tidy=$last" size=disk0)
mkdir "$new" && rm -f nbd scratch && qemu-img create -q -f qcow2 scratch "$size"
which= wanted=
if [ "$2" = increment ]; then
    which='{"type":"block-dirty-bitmap-add","data":{"node":"target","name":"wanted","disabled":true}},
        {"type":"block-dirty-bitmap-merge","data":{"node":"target","target":"wanted","bitmaps":[{"node":"disk0","name":"'$last'"}]}},'
    wanted=',"bitmaps":["wanted"]'
fi
qmp "$1" '{"execute":"blockdev-add","arguments":{"node-name":"target","driver":"qcow2","backing":"disk0","file":{"driver":"file","filename":"'"$PWD/scratch"'"}}}' \
    '{"execute":"transaction","arguments":{"actions":['"$which"'
        {"type":"block-dirty-bitmap-add","data":{"node":"disk0","name":"'$new'","persistent":true}},
        {"type":"blockdev-backup","data":{"device":"disk0","target":"target","job-id":"backup","sync":"none","auto-dismiss":false}}]}}' \
    '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"'"$PWD/nbd"'"}}}}' \
    '{"execute":"block-export-add","arguments":{"type":"nbd","id":"pull","node-name":"target","name":"pull"'"$wanted"'}}'
if [ "$2" = full ]; then qemu-img convert -O qcow2 "json:{$nbd}" "$new/disk"; else
    qemu-img create -q -f qcow2 -F qcow2 -b "../$last/disk" "$new/disk" "$size"
    qemu-img rebase -u -f qcow2 -F raw -b "nbd+unix:///pull?socket=$PWD/nbd" "$new/disk"
    # What the bitmap has is shown as a hole. To read it with copy-on-read (-C) takes it over.
    qemu-img map --output=json "json:{$nbd"',"x-dirty-bitmap":"qemu:dirty-bitmap:wanted"}' |
        python3 -c 'import json, sys; [print("r", e["start"], e["length"]) for e in json.load(sys.stdin) if not e["data"]]' |
        qemu-io -C -f qcow2 "$new/disk" > read 2>&1 || { cat read >&2; exit 1; }
    if grep -i "fail\|error" read >&2; then exit 1; fi
    qemu-img rebase -u -f qcow2 -F qcow2 -b "../$last/disk" "$new/disk"
fi
qmp "$1" '{"execute":"nbd-server-stop"}' '{"execute":"block-job-cancel","arguments":{"device":"backup"}}' -wait=backup \
    '{"execute":"blockdev-del","arguments":{"node-name":"target"}}'
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || qmp "$1" '-{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'"$last"'"}}'
