"""What `cbtspec` can do besides `check` and `replay`, each with how it shows what it found."""
