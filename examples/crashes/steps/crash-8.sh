during_a_backup() {  # says this while an increment has the bitmap, after the guest has written; then the backup completes
    image b
    {
        qmp '{"execute": "qmp_capabilities"}' '{"execute": "blockdev-backup", "arguments": {"job-id": "j", "device": "n",
             "target": "t", "sync": "incremental", "bitmap": "b", "auto-finalize": false}}'
        guest -c 'write 512k 64k' -c flush
        qmp '{"execute": "block-export-del", "arguments": {"id": "e", "mode": "hard"}}' "$1" \
            '{"execute": "job-finalize", "arguments": {"id": "j"}}' '{"execute": "quit"}'
    } | $QSD --blockdev file,node-name=f,filename=disk.qcow2,discard=unmap --blockdev "$DISK" \
        --blockdev driver=null-co,node-name=t,size=1048576 \
        --blockdev '{"driver": "qcow2", "node-name": "o", "backing": null,
                     "file": {"driver": "file", "filename": "overlay.qcow2"}}' \
        $MONITOR --export "$EXPORT" | grep error
    bitmaps
}
qemu-img create -q -f qcow2 overlay.qcow2 1M
during_a_backup '{"execute": "blockdev-snapshot", "arguments": {"node": "n", "overlay": "o"}}'
during_a_backup '{"execute": "blockdev-reopen", "arguments": {"options":
    [{"driver": "qcow2", "node-name": "n", "file": "f", "discard": "unmap", "read-only": true}]}}'
