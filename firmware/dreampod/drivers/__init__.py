"""One file per part. A driver takes buses already built and pushes samples into a stream."""
