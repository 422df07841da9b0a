image b
bitmaps
{
    qmp '{"execute": "qmp_capabilities"}'
    guest -c 'write 512k 64k'
    qmp '{"execute": "block-export-del", "arguments": {"id": "e", "mode": "hard"}}' \
        '{"execute": "blockdev-del", "arguments": {"node-name": "n"}}' '{"execute": "quit"}'
} | $QSD --blockdev "$(failing 12)" --blockdev "$DISK" $MONITOR --export "$EXPORT" | grep error
bitmaps
qemu-img check disk.qcow2
