"""Networks as functions of flat parameter dictionaries, written once in `Ops`; initial values are drawn in numpy."""
