image b
{
    qmp '{"execute": "qmp_capabilities"}' '{"execute": "blockdev-reopen", "arguments": {"options":
         [{"driver": "qcow2", "node-name": "n", "file": "f", "discard": "unmap", "read-only": false}]}}' \
        '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "e", "node-name": "n", "name": "n", "writable": true}}'
    guest -c 'write 128k 64k'
    guest -c 'write 128k 64k'
    qmp '{"execute": "quit"}'
} | $QSD --blockdev "$(failing 1)" --blockdev "$DISK,read-only=on" $MONITOR
