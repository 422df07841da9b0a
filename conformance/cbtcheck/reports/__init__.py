"""What is said of a run: the report, printed, as pictures, JSON, JUnit, HTML, and to GitHub."""
