"""Pure opinions: a history of observations in, a recommended number of workers out."""
