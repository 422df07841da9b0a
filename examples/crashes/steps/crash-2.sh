image b
{
    qmp '{"execute": "qmp_capabilities"}' '{"execute": "blockdev-reopen", "arguments": {"options":
         [{"driver": "qcow2", "node-name": "n", "file": "f", "discard": "unmap", "read-only": true}]}}' \
        '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "e", "node-name": "n", "name": "n", "writable": true}}'
    guest -c 'write -P 3 128k 64k' -c flush
    kill -9 $(cat qsd.pid)
} | $QSD --pidfile qsd.pid --blockdev "$(failing 9)" --blockdev "$DISK" $MONITOR | grep error
bitmaps
