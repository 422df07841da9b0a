"""Histories of backups that restore or do not: what the vectors about chains are made of."""
