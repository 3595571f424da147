"""The learning side: ingest, update loop, update-to-data governor, checkpoints."""
