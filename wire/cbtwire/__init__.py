"""What goes over the wire: NBD, and the vocabulary of QMP. Knows neither suite nor implementation."""
