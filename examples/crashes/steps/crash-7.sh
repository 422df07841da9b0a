image
# Any image will do in which QEMU finds that metadata overlap; CRASH-5 makes one.
printf '[inject-error]\nevent = "l1_update"\niotype = "flush"\nerrno = "5"\nonce = "on"\n' > blkdebug.conf
qemu-io -c 'write 0 4k' 'json:{"driver": "qcow2", "file": {"driver": "blkdebug", "config": "blkdebug.conf",
    "image": {"driver": "file", "filename": "disk.qcow2"}}}'
cp disk.qcow2 corrupt.qcow2

broken() {  # the guest's write finds it; then the node is reopened
    qmp '{"execute": "qmp_capabilities"}'
    guest -c 'write 128k 4k'
    qmp '{"execute": "block-export-del", "arguments": {"id": "e", "mode": "hard"}}' \
        '{"execute": "query-named-block-nodes"}' \
        '{"execute": "blockdev-reopen", "arguments": {"options": [{"driver": "qcow2", "node-name": "n", "file": "f"}]}}' \
        '{"execute": "quit"}'
}
echo 'The file is a node of its own:'
broken | sh -c "$QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev driver=qcow2,node-name=n,file=f \
    $MONITOR --export $EXPORT; echo exit status \$?" | grep -e error -e status

cp corrupt.qcow2 disk.qcow2
echo 'The file is given inline:'
broken | sh -c "$QSD --blockdev driver=qcow2,node-name=n,file.driver=file,file.filename=disk.qcow2,file.node-name=f \
    $MONITOR --export $EXPORT; echo exit status \$?" | grep -e error -e status
