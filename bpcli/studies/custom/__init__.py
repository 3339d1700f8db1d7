"""Parts of a user's own: loading their files, and checking that they keep to the rules of kernels."""
