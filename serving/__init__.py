"""What a customer does over time: HTTP, archives, the page and the command line."""
