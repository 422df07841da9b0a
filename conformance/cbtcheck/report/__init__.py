"""One view of a run, as text, JSON, JUnit, HTML with pictures, and for GitHub."""
