"""Images of the format qcow2 as they lie in a file: what they say of their bitmaps, and of the guest's data.

Pure functions on whatever has bytes (`reading.Bytes`); what QEMU refuses to open is refused here, in QEMU's words
where it has some, with the place in the file. Offsets, lengths and sizes are bytes.
"""
