"""Each compares what is with what should be and yields the actions that close the gap. Nothing to do has a reason."""
