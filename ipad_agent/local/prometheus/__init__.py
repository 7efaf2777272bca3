"""What is counted, and the text that Prometheus reads.

It may import the status model. ``metrics.Metrics`` and ``textfile_collector.Textfile`` leave it.
"""
