"""Known failures of released implementations: what they are, and how they are told from new ones."""
