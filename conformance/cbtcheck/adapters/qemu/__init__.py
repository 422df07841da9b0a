"""Control of a real qemu-storage-daemon: its process, its monitor, and both ends of its I/O."""
