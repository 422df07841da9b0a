"""The oracle: the specification itself on real disks, for whoever wants to ask it from a program of their own."""
