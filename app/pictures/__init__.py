"""Figures to pictures: Vega-Lite specifications, sampling, captions and rendering."""
