image
cp disk.qcow2 before.qcow2
qemu-img bitmap --add -g 65536 disk.qcow2 b
# The write of the header got as far as the first sector; everything else of the store is there.
dd if=before.qcow2 of=disk.qcow2 bs=512 skip=1 seek=1 count=127 conv=notrunc 2> /dev/null
bitmaps
