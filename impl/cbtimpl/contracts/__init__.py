"""Contracts of the implementation: what its functions owe, said so that CrossHair can check it.

A contract is a function that is true for all arguments that meet its `pre:` lines. It runs the very functions and
classes that the implementation runs; what stands in for something else is the store of the numbers (`stores`: the
real one is in C, where no symbolic execution can look) and the disks of a job (`jobs`). Each contract is about
*one arbitrary* byte, granule or cluster: what holds of it holds of all. Nothing in the implementation imports this.

To read in this order: `registry`, `arithmetic`, `stores`, `sets`, `life_cycle`, `jobs`, `work_list`, `job_end`.
"""
