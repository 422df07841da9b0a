"""Sets of blocks that the engine follows: bit vectors, compressed bitmaps, and sets that are known in part."""
