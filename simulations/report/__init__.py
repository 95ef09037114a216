"""The report: what a run or a search showed, as one page without a network, or as a picture."""
