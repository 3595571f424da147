"""For people: metrics, live display, evaluation statistics, plots, videos."""
