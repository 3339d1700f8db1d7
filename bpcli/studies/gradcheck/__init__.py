"""Proof that the gradients of a network are right: every tensor against four witnesses, and what is wrong with one."""
