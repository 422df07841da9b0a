"""The arithmetic between bytes, blocks, granules and clusters, proved where it runs."""
