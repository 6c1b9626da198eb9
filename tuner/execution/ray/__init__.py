"""The Ray executor: Ray Tune places, supervises and restarts workers, which pull segments through a mailbox."""
