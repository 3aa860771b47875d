"""Pages about runs and sweeps: self-contained HTML that opens without network, charts by plotly in templates of jinja2."""
