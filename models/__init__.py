"""The Python beside detail-guidance: `export` is what users run, the rest is research."""
