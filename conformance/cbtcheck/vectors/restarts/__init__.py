"""Histories of disks that lie in images: what the vectors about stored bitmaps are made of."""
