"""Each step of the implementation is a step of the specification: walked edge by edge."""
