"""The contract of every command: all that it does, said a second time, as claims about the state before and after."""
