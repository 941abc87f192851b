"""What the windows show, as plotly traces and layouts, HTML or SVG."""
