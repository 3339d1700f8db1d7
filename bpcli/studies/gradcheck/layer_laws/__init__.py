"""What every layer obeys by itself, at the sizes that it is used at: its rows, its two float types, the order of its
calls."""
