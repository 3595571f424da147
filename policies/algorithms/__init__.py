"""Learning algorithms, each written once for every array library."""
