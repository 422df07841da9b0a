#!/bin/sh
# tool.sh setup EMULATOR IMAGE | start | full [pull] | increment [pull] | restore FILE: what libvirt's manual says, with virsh.
# A backup is a folder with the image, named after the checkpoint that began with it; `last` leads to the newest.
set -e
virsh() { command virsh -q -c "qemu:///system?socket=$PWD/libvirt-sock" "$@"; }
# After QEMU was killed the bitmap of a checkpoint may be gone; then libvirt deletes no more than what it knows of it.
delete() { virsh checkpoint-delete judged "$1" || virsh checkpoint-delete judged "$1" --metadata; }
case $1 in
setup)
    for _ in $(seq 600); do virsh list > /dev/null 2>&1 && break || sleep 0.1; done
    cat > domain.xml <<END
<domain type='qemu'><name>judged</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>$2</emulator><disk type='file'><driver name='qemu' type='qcow2' discard='unmap'/><source file='$3'/>
<target dev='vda' bus='virtio'/></disk><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
END
    virsh define domain.xml
    virsh start judged --paused
    exit ;;
start)  # once more: libvirtd sees in a moment that QEMU has ended
    for _ in $(seq 100); do virsh start judged --paused 2> why && exit || sleep 0.1; done
    cat why >&2
    exit 1 ;;
restore)
    exec qemu-img convert -f qcow2 -O raw last/vda "$2" ;;
esac

last=$(readlink last || true) new=b$(date +%s%N) since=
[ "$1" = full ] || since="<incremental>$last</incremental>"
virsh domjobabort judged > /dev/null 2>&1 || true
for each in $(virsh checkpoint-list judged --name); do [ "$each" = "$last" ] || delete "$each"; done
mkdir "$new" && rm -f nbd scratch
echo "<domaincheckpoint><name>$new</name></domaincheckpoint>" > checkpoint.xml
if [ "$2" = pull ]; then
    echo "<domainbackup mode='pull'>$since<server transport='unix' socket='$PWD/nbd'/><disks><disk name='vda' type='file'>
        <scratch file='$PWD/scratch'/></disk></disks></domainbackup>" > backup.xml
else
    echo "<domainbackup>$since<disks><disk name='vda' type='file'><target file='$PWD/$new/vda'/><driver type='qcow2'/>
        </disk></disks></domainbackup>" > backup.xml
fi
virsh backup-begin judged backup.xml checkpoint.xml
if [ "$2" != pull ]; then
    while virsh domjobinfo judged | grep -q -i bounded; do sleep 0.05; done
    virsh domjobinfo judged --completed | grep -q Completed
elif [ "$1" = full ]; then
    qemu-img convert -f raw -O qcow2 "nbd+unix:///vda?socket=$PWD/nbd" "$new/vda"
    virsh domjobabort judged
else
    qemu-img create -q -f qcow2 -F raw -b "nbd+unix:///vda?socket=$PWD/nbd" "$new/vda"
    # What the bitmap has is shown as a hole. To read it with copy-on-read (-C) takes it over.
    qemu-img map --output=json 'json:{"driver":"nbd","export":"vda","server":{"type":"unix","path":"'"$PWD/nbd"'"},
            "x-dirty-bitmap":"qemu:dirty-bitmap:backup-vda"}' |
        python3 -c 'import json, sys; [print("r", e["start"], e["length"]) for e in json.load(sys.stdin) if not e["data"]]' |
        qemu-io -C -f qcow2 "$new/vda" > read 2>&1 || { cat read >&2; exit 1; }
    if grep -i "fail\|error" read >&2; then exit 1; fi
    virsh domjobabort judged
fi
[ "$1" = full ] || qemu-img rebase -u -f qcow2 -F qcow2 -b "../$last/vda" "$new/vda"
ln -sfn "$new" next && mv -T next last
[ -z "$last" ] || delete "$last"
