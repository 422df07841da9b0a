#!/bin/sh
# A libvirtd of its own: all that it keeps or makes, wherever it thinks that is, is in the directory where this is run.
# As root, without systemd. Debian: apt install libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils
set -e
places="etc/libvirt run/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt"
for each in $places; do mkdir -p "own/$each" "/$each"; done
printf '%s\n' 'security_driver = "none"' 'stdio_handler = "file"' 'user = "root"' 'group = "root"' \
    'cgroup_controllers = []' 'namespaces = []' 'remember_owner = 0' > own/etc/libvirt/qemu.conf
printf '%s\n' 'auth_unix_rw = "none"' "unix_sock_dir = \"$PWD\"" > own/etc/libvirt/libvirtd.conf
export places
exec unshare --mount sh -c '
    for each in $places; do mount --bind "own/$each" "/$each"; done
    # As systemd has it (Restart=on-failure): libvirtd 9.0 crashes where QEMU ends while it makes the image of a backup.
    until libvirtd --pid-file own/libvirtd.pid >> own/libvirtd.log 2>&1; do sleep 0.1; done'
