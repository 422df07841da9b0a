image
printf '[inject-error]\nevent = "l1_update"\niotype = "flush"\nerrno = "5"\nonce = "on"\n' > blkdebug.conf
{
    qmp '{"execute": "qmp_capabilities"}'
    guest -c 'write 0 4k'
    qmp '{"execute": "quit"}'
} | $QSD --blockdev blkdebug,node-name=f,config=blkdebug.conf,image.driver=file,image.filename=disk.qcow2 \
    --blockdev "$DISK" $MONITOR --export "$EXPORT" > /dev/null
qemu-img check disk.qcow2
{
    qmp '{"execute": "qmp_capabilities"}'
    guest -c 'write 128k 4k'
    qmp '{"execute": "quit"}'
} | $QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev "$DISK" $MONITOR --export "$EXPORT" > /dev/null
qmp '{"execute": "qmp_capabilities"}' '{"execute": "quit"}' |
    $QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev "$DISK" $MONITOR > /dev/null
