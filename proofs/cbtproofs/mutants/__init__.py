"""Wrong variants of the specification, by rule and after real bugs: what the checkers must find."""
