"""Looking after finished work: what is missing, why, what may go, whether it is intact. Imports no torch."""
