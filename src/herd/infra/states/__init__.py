"""The state machines of jobs and pipelines, in the Amazon States Language."""
