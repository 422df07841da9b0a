"""The specification proved by induction: whatever holds goes on to hold, for every command, on every disk."""
