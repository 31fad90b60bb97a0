"""Pictures of results: Vega-Lite specifications, sampling, captions and rendering."""
