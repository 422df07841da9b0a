image
{
    qmp '{"execute": "qmp_capabilities"}' \
        '{"execute": "block-dirty-bitmap-add", "arguments": {"node": "n", "name": "b", "persistent": true}}' \
        '{"execute": "blockdev-reopen", "arguments": {"options":
         [{"driver": "qcow2", "node-name": "n", "file": "f", "discard": "unmap", "read-only": true}]}}' \
        '{"execute": "quit"}'
} | $QSD --blockdev file,node-name=f,filename=disk.qcow2,discard=unmap --blockdev "$DISK,read-only=on" \
    --chardev stdio,id=m --monitor chardev=m
bitmaps
