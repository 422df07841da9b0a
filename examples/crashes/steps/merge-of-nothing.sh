merge_nothing() {  # into a bitmap that is sound, then inconsistent; the image is opened with these options
    qmp '{"execute": "qmp_capabilities"}' '{"execute": "block-dirty-bitmap-merge", "arguments":
         {"node": "n", "target": "b", "bitmaps": []}}' '{"execute": "quit"}' 2> /dev/null |
        sh -c "$QSD --blockdev file,node-name=f,filename=disk.qcow2 --blockdev $DISK,$1 $MONITOR; echo $2: exit status \$?" |
        grep -e error -e status
}
image b
merge_nothing read-only=on 'read-only'
merge_nothing read-only=off 'sound'
merge_nothing read-only=off 'left in use by that, so inconsistent'
merge_nothing read-only=on 'inconsistent and read-only'
