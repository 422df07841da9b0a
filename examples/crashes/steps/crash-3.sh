image b c
{
    qmp '{"execute": "qmp_capabilities"}' \
        '{"execute": "block-dirty-bitmap-remove", "arguments": {"node": "n", "name": "b"}}'
    guest -c 'write 64k 64k' -c 'write 128k 64k' -c 'write 192k 64k' -c 'write 256k 64k' -c 'write 320k 64k' -c flush
    kill -9 $(cat qsd.pid)
} | $QSD --pidfile qsd.pid --blockdev "$(failing 7)" --blockdev "$DISK" $MONITOR --export "$EXPORT" | grep error
bitmaps
qemu-img check disk.qcow2
