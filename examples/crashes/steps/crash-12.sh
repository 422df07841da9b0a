image b
bitmaps
$QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev "$DISK" --export nbd,id=e,node-name=nowhere
echo "exit code $?"
bitmaps
