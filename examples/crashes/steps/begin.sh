QSD=${QSD:-qemu-storage-daemon}
DISK=driver=qcow2,node-name=n,file=f,discard=unmap
MONITOR='--chardev stdio,id=m --monitor chardev=m --nbd-server addr.type=unix,addr.path=guest.sock'
EXPORT='nbd,id=e,node-name=n,name=n,writable=on'

qmp() {  # says these commands, one after the other
    for each; do printf '%s\n' "$each"; sleep 0.3; done
}
guest() {  # what a guest does, in the words of qemu-io
    qemu-io -f raw "$@" 'nbd+unix:///n?socket=guest.sock' >&2
}
bitmaps() {  # what QEMU finds in the image when it opens it, or why it does not
    qmp '{"execute": "qmp_capabilities"}' '{"execute": "query-named-block-nodes"}' '{"execute": "quit"}' |
        $QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev "$DISK,read-only=on" \
            --chardev stdio,id=m --monitor chardev=m 2>&1 |
        grep -o -e '"dirty-bitmaps": \[[^]]*\]' -e 'read-only=on: .*' | head -n 1
}
image() {  # 1 MiB with these bitmaps, of which 64 KiB are dirty
    qemu-img create -q -f qcow2 disk.qcow2 1M
    for each; do qemu-img bitmap --add -g 65536 disk.qcow2 "$each"; done
    [ $# = 0 ] || qemu-io -f qcow2 -c 'write 0 64k' disk.qcow2 > /dev/null
}
failing() {  # the file, of which the flush after write number $1 fails, once
    for i in $(seq 60); do
        printf '[set-state]\nevent = "pwritev"\nstate = "%d"\nnew_state = "%d"\n' "$i" $((i + 1))
    done > blkdebug.conf
    printf '[inject-error]\nevent = "pwritev"\nstate = "%d"\niotype = "flush"\nerrno = "5"\nonce = "on"\n' "$1" >> blkdebug.conf
    echo "blkdebug,node-name=f,discard=unmap,config=blkdebug.conf,image.driver=file,image.filename=disk.qcow2,image.discard=unmap"
}
