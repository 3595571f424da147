"""Steps on disk and in memory: step log, frame store, pools, samplers."""
