FILE=file,node-name=f,filename=disk.qcow2,discard=unmap
reopen() {  # with this value of read-only
    qmp '{"execute": "blockdev-reopen", "arguments": {"options":
         [{"driver": "qcow2", "node-name": "n", "file": "f", "discard": "unmap", "read-only": '"$1"'}]}}'
}
REMOVE='"node": "n", "name": "b"'

image b
{
    qmp '{"execute": "qmp_capabilities"}'
    until [ -s qsd.pid ]; do sleep 0.1; done
    kill -9 $(cat qsd.pid)
} | $QSD --pidfile qsd.pid --blockdev "$FILE" --blockdev "$DISK" --chardev stdio,id=m --monitor chardev=m > first.log
bitmaps
{
    qmp '{"execute": "qmp_capabilities"}' '{"execute": "transaction", "arguments": {"actions":
         [{"type": "block-dirty-bitmap-remove", "data": {'"$REMOVE"'}}, {"type": "abort", "data": {}}]}}'
    reopen true
    reopen false
    qmp '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "e", "node-name": "n", "name": "n", "writable": true}}'
    guest -c 'write 128k 64k'
    qmp '{"execute": "block-dirty-bitmap-remove", "arguments": {'"$REMOVE"'}}'
    guest -c 'write 128k 64k'
    qmp '{"execute": "quit"}'
} | $QSD --blockdev "$FILE" --blockdev "$DISK" $MONITOR
bitmaps
