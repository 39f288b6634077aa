"""The watch: what is told when something fails, is late or does not happen, and what tells that the watch itself does.

plan     settings and workloads -> what the watch knows before it looks
archive  the function's code with that plan in it
watch    the function, what starts it, the topics and the alarms
"""
