"""Message archives: files of any common format in, every row with its scores out, and the customers."""
