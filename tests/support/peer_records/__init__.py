"""Numbers that other authors' libraries give for parts of ours, and how they were made.

What is wrong in a kernel and in its equations alike (a constant, a threshold, a forgotten factor) only somebody else's
numbers can show. They are kept in tests/peers/records, so that they are looked at where no other library is installed:
a file a family, with the versions that made it. To make them anew, with the extra `peers` installed:

    PYTHONPATH=tests/support python -m peer_records

A record says which part it is of (as in a config), who computed it (`peer`), what was put in (`inputs`) and what came
out (`found`). Each module makes the records of some families (`record`) and computes the same with our kernels
(`ours`); where we differ from a peer on purpose, `differently` states how.
"""
