"""Which mutant is found by which engine, and the page that says so."""
