"""The components a team asks for, one module a kind; and the pipeline that joins jobs."""
