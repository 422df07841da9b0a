"""Every state that a crash can leave of a real image, and what comes of every request that fails.

A history of commands is played on an image that lies on our own NBD server, which records each write, trim and flush.
The states that a crash may leave are enumerated from that record, and our own reader judges each: is there a bitmap
that says *valid*, and lacks a change of the guest's data?
"""
