"""Tables, figures, executed notebooks and the HTML page. Reads artefacts, never models; imports no torch."""
